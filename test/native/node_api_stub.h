// As much of Node-API as the addon uses, without a Node: so that sanitizers and a fuzzer see all that runs.
//
// It is stricter than Node where that finds mistakes. A handle is freed with its scope, an object with its last
// reference, and an array buffer is a heap block of exactly its size, freed when it is detached: whoever uses one of
// them a moment too long, or a byte too far, is seen by AddressSanitizer.
//
// Relies on node_api.h for the signatures. Everything belongs to one environment, and that to one thread.

#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace stub {

struct Entity;
using Value = std::shared_ptr<Entity>;
using Values = std::vector<Value>;

enum class Kind { kUndefined, kNull, kBoolean, kNumber, kBigInt, kString, kSymbol, kObject, kFunction };

/// What the addon asked to be called when a value goes.
struct Finalizer {
  napi_finalize call;
  void* data;
  void* hint;
};

struct Accessor {
  napi_callback getter;
  void* data;
};

/// A JavaScript value. Of its fields only those that its kind needs mean anything.
struct Entity {
  Entity(napi_env environment, Kind its_kind);
  ~Entity();
  Entity(const Entity&) = delete;
  Entity& operator=(const Entity&) = delete;

  const napi_env env;
  const Kind kind;

  bool boolean = false;
  double number = 0;
  /// The value modulo 2^64, and whether that is all of it.
  uint64_t big = 0;
  bool is_whole = true;
  std::string text;

  std::map<std::string, Value> properties;
  std::map<std::string, Accessor> accessors;
  Value prototype;
  bool is_array = false;
  bool is_error = false;
  void* wrapped = nullptr;
  Finalizer unwrap{};
  std::vector<Finalizer> finalizers;

  napi_callback callback = nullptr;
  void* data = nullptr;
  std::function<Value(const Values&)> native;

  bool is_buffer = false;
  std::unique_ptr<uint8_t[]> bytes;
  size_t length = 0;

  bool is_typed = false;
  napi_typedarray_type element = napi_uint8_array;
  Value buffer;
  size_t offset = 0;
};

}  // namespace stub

struct napi_value__ {
  stub::Value value;
};

struct napi_ref__ {
  uint32_t count;
  std::weak_ptr<stub::Entity> weak;
  stub::Value strong;
};

struct napi_callback_info__ {
  stub::Value self;
  const stub::Values& arguments;
  void* data;
  stub::Value target;
};

struct napi_env__ {
  napi_env__();
  /// Ends the environment as Node does: clean-up hooks, then the finalizers of all that is left.
  ~napi_env__();
  napi_env__(const napi_env__&) = delete;
  napi_env__& operator=(const napi_env__&) = delete;

  napi_value Handle(stub::Value value);
  napi_status Done(napi_status status);

  bool is_throwing = false;
  stub::Value exception;
  napi_extended_error_info error{};
  /// References that the addon has made and not deleted.
  size_t references = 0;
  std::unordered_set<stub::Entity*> entities;
  std::vector<std::vector<std::unique_ptr<napi_value__>>> scopes;
  std::vector<std::pair<void (*)(void*), void*>> hooks;
};

namespace stub {

Value Undefined(napi_env env);
Value Null(napi_env env);
Value Boolean(napi_env env, bool value);
Value Number(napi_env env, double value);
Value BigInt(napi_env env, uint64_t value, bool is_whole = true);
Value String(napi_env env, const std::string& text);
Value Symbol(napi_env env);
Value Object(napi_env env);
Value Function(napi_env env, std::function<Value(const Values&)> native);
Value ArrayBuffer(napi_env env, size_t length);
Value TypedArray(napi_env env, napi_typedarray_type element, Value buffer, size_t offset, size_t length);

/// Takes a buffer's bytes away, as growing or transferring a memory does. They are freed.
void Detach(const Value& buffer);

/// Calls a function, as JavaScript would: undefined, and `is_throwing`, if it threw.
Value Call(const Value& function, const Value& self, const Values& arguments);
Value Construct(const Value& constructor, const Values& arguments);
Value Get(const Value& object, const std::string& name);

/// Throws an error of that name (`RangeError`), with a code.
void Throw(napi_env env, const std::string& name, const std::string& code, const std::string& message);

/// Loads the addon: what `require` answers.
Value Load(napi_env env);

}  // namespace stub
