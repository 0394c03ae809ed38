#include "node_api_stub.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

extern "C" napi_value napi_register_module_v1(napi_env env, napi_value exports);

using stub::Entity;
using stub::Finalizer;
using stub::Kind;
using stub::Value;
using stub::Values;

// ---- Environments and values
// -----------------------------------------------------------------------------------------

napi_env__::napi_env__() {
  scopes.emplace_back();
}

napi_env__::~napi_env__() {
  while (!hooks.empty()) {
    auto [hook, data] = hooks.back();
    hooks.pop_back();
    hook(data);
  }
  exception = nullptr;
  scopes[0].clear();
  // What is left refers to itself in circles, which are broken one after the other.
  while (!entities.empty()) {
    Entity* entity = *entities.begin();
    for (Entity* candidate : entities) {
      if (!candidate->properties.empty() || candidate->prototype != nullptr || candidate->native != nullptr) {
        entity = candidate;
        break;
      }
    }
    auto properties = std::exchange(entity->properties, {});
    auto prototype = std::exchange(entity->prototype, nullptr);
    auto native = std::exchange(entity->native, nullptr);
    scopes[0].clear();
    // Nothing but references that the addon never deleted can hold what is left then.
    if (properties.empty() && prototype == nullptr && native == nullptr) break;
  }
  if (references == 0) return;
  fprintf(stderr, "\nWRONG: the addon kept %zu references\n", references);
  abort();
}

napi_value napi_env__::Handle(Value value) {
  auto& scope = scopes.back();
  scope.push_back(std::make_unique<napi_value__>());
  scope.back()->value = std::move(value);
  return scope.back().get();
}

napi_status napi_env__::Done(napi_status status) {
  error = {};
  error.error_code = status;
  error.error_message = status == napi_ok ? nullptr : "the stub of Node-API refused";
  return status;
}

namespace stub {

Entity::Entity(napi_env environment, Kind its_kind) : env(environment), kind(its_kind) {
  env->entities.insert(this);
}

Entity::~Entity() {
  env->entities.erase(this);
  if (unwrap.call != nullptr) unwrap.call(env, unwrap.data, unwrap.hint);
  for (const Finalizer& finalizer : finalizers) finalizer.call(env, finalizer.data, finalizer.hint);
}

namespace {

Value Make(napi_env env, Kind kind) {
  return std::make_shared<Entity>(env, kind);
}

Value Error(napi_env env, const std::string& name, const Value& code, const Value& message) {
  Value error = Object(env);
  error->is_error = true;
  error->properties["name"] = String(env, name);
  error->properties["message"] = message;
  if (code != nullptr) error->properties["code"] = code;
  return error;
}

void ThrowValue(napi_env env, Value value) {
  env->is_throwing = true;
  env->exception = std::move(value);
}

class Scope {
 public:
  explicit Scope(napi_env env) : env_(env) { env_->scopes.emplace_back(); }
  ~Scope() { env_->scopes.pop_back(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  napi_env env_;
};

/// Runs a function of the addon.
Value Run(napi_env env, napi_callback callback, napi_callback_info__ info) {
  Scope scope(env);
  napi_value result = callback(env, &info);
  return result == nullptr || env->is_throwing ? Undefined(env) : result->value;
}

bool IsObject(const Value& value) {
  return value->kind == Kind::kObject || value->kind == Kind::kFunction;
}

Value* Find(const Value& object, const std::string& name) {
  for (Entity* at = object.get(); at != nullptr; at = at->prototype.get()) {
    auto found = at->properties.find(name);
    if (found != at->properties.end()) return &found->second;
  }
  return nullptr;
}

Accessor* FindAccessor(const Value& object, const std::string& name) {
  for (Entity* at = object.get(); at != nullptr; at = at->prototype.get()) {
    auto found = at->accessors.find(name);
    if (found != at->accessors.end()) return &found->second;
  }
  return nullptr;
}

/// The name of a property: arrays have theirs by number.
std::string NameOf(const Value& key) {
  return key->kind == Kind::kNumber ? std::to_string(static_cast<uint32_t>(key->number)) : key->text;
}

size_t SizeOf(napi_typedarray_type element) {
  switch (element) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    default:
      return 8;
  }
}

}  // namespace

Value Undefined(napi_env env) {
  return Make(env, Kind::kUndefined);
}

Value Null(napi_env env) {
  return Make(env, Kind::kNull);
}

Value Boolean(napi_env env, bool value) {
  Value made = Make(env, Kind::kBoolean);
  made->boolean = value;
  return made;
}

Value Number(napi_env env, double value) {
  Value made = Make(env, Kind::kNumber);
  made->number = value;
  return made;
}

Value BigInt(napi_env env, uint64_t value, bool is_whole) {
  Value made = Make(env, Kind::kBigInt);
  made->big = value;
  made->is_whole = is_whole;
  return made;
}

Value String(napi_env env, const std::string& text) {
  Value made = Make(env, Kind::kString);
  made->text = text;
  return made;
}

Value Symbol(napi_env env) {
  return Make(env, Kind::kSymbol);
}

Value Object(napi_env env) {
  return Make(env, Kind::kObject);
}

Value Function(napi_env env, std::function<Value(const Values&)> native) {
  Value made = Make(env, Kind::kFunction);
  made->native = std::move(native);
  return made;
}

Value ArrayBuffer(napi_env env, size_t length) {
  Value made = Make(env, Kind::kObject);
  made->is_buffer = true;
  made->bytes = std::make_unique<uint8_t[]>(length);
  made->length = length;
  return made;
}

Value TypedArray(napi_env env, napi_typedarray_type element, Value buffer, size_t offset, size_t length) {
  Value made = Make(env, Kind::kObject);
  made->is_typed = true;
  made->element = element;
  made->buffer = std::move(buffer);
  made->offset = offset;
  made->length = length;
  return made;
}

void Detach(const Value& buffer) {
  buffer->bytes.reset();
  buffer->length = 0;
}

Value Call(const Value& function, const Value& self, const Values& arguments) {
  napi_env env = function->env;
  if (function->kind != Kind::kFunction) {
    Throw(env, "TypeError", "", "not a function");
    return Undefined(env);
  }
  if (function->native) {
    Value result = function->native(arguments);
    return env->is_throwing ? Undefined(env) : result;
  }
  return Run(env, function->callback, {self, arguments, function->data, nullptr});
}

Value Construct(const Value& constructor, const Values& arguments) {
  Value self = Object(constructor->env);
  self->prototype = constructor->prototype;
  Run(constructor->env, constructor->callback, {self, arguments, constructor->data, constructor});
  return self;
}

Value Get(const Value& object, const std::string& name) {
  if (Value* found = Find(object, name)) return *found;
  if (Accessor* found = FindAccessor(object, name)) {
    return Run(object->env, found->getter, {object, {}, found->data, nullptr});
  }
  return Undefined(object->env);
}

void Throw(napi_env env, const std::string& name, const std::string& code, const std::string& message) {
  if (env->is_throwing) return;
  ThrowValue(env, Error(env, name, code.empty() ? nullptr : String(env, code), String(env, message)));
}

Value Load(napi_env env) {
  Scope scope(env);
  return napi_register_module_v1(env, env->Handle(Object(env)))->value;
}

}  // namespace stub

// ---- Node-API
// --------------------------------------------------------------------------------------------------------

using stub::Throw;

#define REQUIRE(condition, status) \
  if (!(condition)) return env->Done(status)

// Functions that may run JavaScript refuse while an exception is pending.
#define PREAMBLE() REQUIRE(!env->is_throwing, napi_pending_exception)

extern "C" {

// Values.

napi_status napi_get_undefined(napi_env env, napi_value* result) {
  *result = env->Handle(stub::Undefined(env));
  return env->Done(napi_ok);
}

napi_status napi_create_int32(napi_env env, int32_t value, napi_value* result) {
  *result = env->Handle(stub::Number(env, value));
  return env->Done(napi_ok);
}

napi_status napi_create_uint32(napi_env env, uint32_t value, napi_value* result) {
  *result = env->Handle(stub::Number(env, value));
  return env->Done(napi_ok);
}

napi_status napi_create_double(napi_env env, double value, napi_value* result) {
  *result = env->Handle(stub::Number(env, value));
  return env->Done(napi_ok);
}

napi_status napi_create_bigint_uint64(napi_env env, uint64_t value, napi_value* result) {
  *result = env->Handle(stub::BigInt(env, value));
  return env->Done(napi_ok);
}

napi_status napi_create_string_utf8(napi_env env, const char* text, size_t length, napi_value* result) {
  *result = env->Handle(stub::String(env, length == NAPI_AUTO_LENGTH ? std::string(text) : std::string(text, length)));
  return env->Done(napi_ok);
}

napi_status napi_create_object(napi_env env, napi_value* result) {
  *result = env->Handle(stub::Object(env));
  return env->Done(napi_ok);
}

napi_status napi_create_array(napi_env env, napi_value* result) {
  Value array = stub::Object(env);
  array->is_array = true;
  *result = env->Handle(array);
  return env->Done(napi_ok);
}

napi_status napi_typeof(napi_env env, napi_value value, napi_valuetype* result) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  constexpr napi_valuetype kTypes[] = {napi_undefined, napi_null,   napi_boolean, napi_number,  napi_bigint,
                                       napi_string,    napi_symbol, napi_object,  napi_function};
  *result = kTypes[static_cast<int>(value->value->kind)];
  return env->Done(napi_ok);
}

napi_status napi_get_value_bool(napi_env env, napi_value value, bool* result) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->kind == Kind::kBoolean, napi_boolean_expected);
  *result = value->value->boolean;
  return env->Done(napi_ok);
}

/// ECMAScript's ToInt32 and ToUint32.
static uint32_t Modulo(double number) {
  if (!std::isfinite(number)) return 0;
  double rest = std::fmod(std::trunc(number), 4294967296.0);
  if (rest < 0) rest += 4294967296.0;
  return static_cast<uint32_t>(rest);
}

napi_status napi_get_value_uint32(napi_env env, napi_value value, uint32_t* result) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->kind == Kind::kNumber, napi_number_expected);
  *result = Modulo(value->value->number);
  return env->Done(napi_ok);
}

napi_status napi_get_value_int32(napi_env env, napi_value value, int32_t* result) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->kind == Kind::kNumber, napi_number_expected);
  *result = static_cast<int32_t>(Modulo(value->value->number));
  return env->Done(napi_ok);
}

napi_status napi_get_value_int64(napi_env env, napi_value value, int64_t* result) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->kind == Kind::kNumber, napi_number_expected);
  const double number = value->value->number;
  if (!std::isfinite(number)) {
    *result = 0;
  } else if (number >= 9223372036854775808.0) {
    *result = std::numeric_limits<int64_t>::max();
  } else if (number <= -9223372036854775808.0) {
    *result = std::numeric_limits<int64_t>::min();
  } else {
    *result = static_cast<int64_t>(number);
  }
  return env->Done(napi_ok);
}

napi_status napi_get_value_double(napi_env env, napi_value value, double* result) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->kind == Kind::kNumber, napi_number_expected);
  *result = value->value->number;
  return env->Done(napi_ok);
}

napi_status napi_get_value_bigint_int64(napi_env env, napi_value value, int64_t* result, bool* lossless) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->kind == Kind::kBigInt, napi_bigint_expected);
  *result = static_cast<int64_t>(value->value->big);
  *lossless = value->value->is_whole;
  return env->Done(napi_ok);
}

napi_status napi_get_value_bigint_uint64(napi_env env, napi_value value, uint64_t* result, bool* lossless) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->kind == Kind::kBigInt, napi_bigint_expected);
  *result = value->value->big;
  *lossless = value->value->is_whole;
  return env->Done(napi_ok);
}

napi_status napi_get_value_string_utf8(napi_env env, napi_value value, char* into, size_t size, size_t* length) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->kind == Kind::kString, napi_string_expected);
  const std::string& text = value->value->text;
  if (into == nullptr) {
    *length = text.size();
  } else if (size > 0) {
    const size_t count = std::min(size - 1, text.size());
    memcpy(into, text.data(), count);
    into[count] = '\0';
    if (length != nullptr) *length = count;
  }
  return env->Done(napi_ok);
}

napi_status napi_coerce_to_number(napi_env env, napi_value value, napi_value* result) {
  PREAMBLE();
  REQUIRE(value != nullptr, napi_invalid_arg);
  const Value& from = value->value;
  double number = std::nan("");
  switch (from->kind) {
    case Kind::kNumber:
      number = from->number;
      break;
    case Kind::kBoolean:
      number = from->boolean ? 1 : 0;
      break;
    case Kind::kNull:
      number = 0;
      break;
    case Kind::kString:
      number = from->text.empty() ? 0 : strtod(from->text.c_str(), nullptr);
      break;
    case Kind::kSymbol:
    case Kind::kBigInt:
      Throw(env, "TypeError", "", "cannot be converted to a number");
      return env->Done(napi_pending_exception);
    default:
      break;
  }
  *result = env->Handle(stub::Number(env, number));
  return env->Done(napi_ok);
}

napi_status napi_coerce_to_string(napi_env env, napi_value value, napi_value* result) {
  PREAMBLE();
  REQUIRE(value != nullptr, napi_invalid_arg);
  if (value->value->kind == Kind::kSymbol) {
    Throw(env, "TypeError", "", "cannot be converted to a string");
    return env->Done(napi_pending_exception);
  }
  *result = env->Handle(stub::String(env, value->value->kind == Kind::kString ? value->value->text : "?"));
  return env->Done(napi_ok);
}

// Objects.

napi_status napi_has_property(napi_env env, napi_value object, napi_value key, bool* result) {
  PREAMBLE();
  REQUIRE(object != nullptr && key != nullptr, napi_invalid_arg);
  REQUIRE(stub::IsObject(object->value), napi_object_expected);
  *result = stub::Find(object->value, stub::NameOf(key->value)) != nullptr;
  return env->Done(napi_ok);
}

napi_status napi_get_property(napi_env env, napi_value object, napi_value key, napi_value* result) {
  PREAMBLE();
  REQUIRE(object != nullptr && key != nullptr, napi_invalid_arg);
  REQUIRE(stub::IsObject(object->value), napi_object_expected);
  Value value = stub::Get(object->value, stub::NameOf(key->value));
  if (env->is_throwing) return env->Done(napi_pending_exception);
  *result = env->Handle(value);
  return env->Done(napi_ok);
}

napi_status napi_get_named_property(napi_env env, napi_value object, const char* name, napi_value* result) {
  PREAMBLE();
  REQUIRE(object != nullptr, napi_invalid_arg);
  REQUIRE(stub::IsObject(object->value), napi_object_expected);
  Value value = stub::Get(object->value, name);
  if (env->is_throwing) return env->Done(napi_pending_exception);
  *result = env->Handle(value);
  return env->Done(napi_ok);
}

napi_status napi_set_named_property(napi_env env, napi_value object, const char* name, napi_value value) {
  PREAMBLE();
  REQUIRE(object != nullptr && value != nullptr, napi_invalid_arg);
  REQUIRE(stub::IsObject(object->value), napi_object_expected);
  object->value->properties[name] = value->value;
  return env->Done(napi_ok);
}

napi_status napi_set_property(napi_env env, napi_value object, napi_value key, napi_value value) {
  REQUIRE(key != nullptr, napi_invalid_arg);
  return napi_set_named_property(env, object, stub::NameOf(key->value).c_str(), value);
}

napi_status napi_set_element(napi_env env, napi_value object, uint32_t index, napi_value value) {
  return napi_set_named_property(env, object, std::to_string(index).c_str(), value);
}

napi_status napi_get_element(napi_env env, napi_value object, uint32_t index, napi_value* result) {
  return napi_get_named_property(env, object, std::to_string(index).c_str(), result);
}

napi_status napi_get_array_length(napi_env env, napi_value array, uint32_t* result) {
  REQUIRE(array != nullptr, napi_invalid_arg);
  REQUIRE(array->value->is_array, napi_array_expected);
  *result = static_cast<uint32_t>(array->value->properties.size());
  return env->Done(napi_ok);
}

napi_status napi_is_typedarray(napi_env env, napi_value value, bool* result) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  *result = value->value->is_typed;
  return env->Done(napi_ok);
}

napi_status napi_create_arraybuffer(napi_env env, size_t length, void** data, napi_value* result) {
  PREAMBLE();
  Value buffer = stub::ArrayBuffer(env, length);
  if (data != nullptr) *data = buffer->bytes.get();
  *result = env->Handle(buffer);
  return env->Done(napi_ok);
}

napi_status napi_is_arraybuffer(napi_env env, napi_value value, bool* result) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  *result = value->value->is_buffer;
  return env->Done(napi_ok);
}

napi_status napi_get_arraybuffer_info(napi_env env, napi_value value, void** data, size_t* length) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->is_buffer, napi_invalid_arg);
  if (data != nullptr) *data = value->value->bytes.get();
  if (length != nullptr) *length = value->value->length;
  return env->Done(napi_ok);
}

napi_status napi_get_typedarray_info(napi_env env, napi_value value, napi_typedarray_type* type, size_t* length,
                                     void** data, napi_value* buffer, size_t* offset) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(value->value->is_typed, napi_invalid_arg);
  const Value& array = value->value;
  const bool is_there = array->offset + array->length * stub::SizeOf(array->element) <= array->buffer->length;
  if (type != nullptr) *type = array->element;
  if (length != nullptr) *length = is_there ? array->length : 0;
  // Null is no address to add an offset to; and of a detached array Node tells none.
  if (data != nullptr) *data = is_there && array->buffer->bytes ? array->buffer->bytes.get() + array->offset : nullptr;
  if (buffer != nullptr) *buffer = env->Handle(array->buffer);
  if (offset != nullptr) *offset = is_there ? array->offset : 0;
  return env->Done(napi_ok);
}

// Functions and classes.

napi_status napi_create_function(napi_env env, const char*, size_t, napi_callback callback, void* data,
                                 napi_value* result) {
  PREAMBLE();
  Value function = std::make_shared<Entity>(env, Kind::kFunction);
  function->callback = callback;
  function->data = data;
  *result = env->Handle(function);
  return env->Done(napi_ok);
}

napi_status napi_get_cb_info(napi_env env, napi_callback_info info, size_t* count, napi_value* values, napi_value* self,
                             void** data) {
  if (count != nullptr) {
    for (size_t i = 0; values != nullptr && i < *count; i++) {
      values[i] = env->Handle(i < info->arguments.size() ? info->arguments[i] : stub::Undefined(env));
    }
    *count = info->arguments.size();
  }
  if (self != nullptr) *self = env->Handle(info->self);
  if (data != nullptr) *data = info->data;
  return env->Done(napi_ok);
}

napi_status napi_get_new_target(napi_env env, napi_callback_info info, napi_value* result) {
  *result = info->target == nullptr ? nullptr : env->Handle(info->target);
  return env->Done(napi_ok);
}

napi_status napi_call_function(napi_env env, napi_value self, napi_value function, size_t count,
                               const napi_value* arguments, napi_value* result) {
  PREAMBLE();
  REQUIRE(function != nullptr, napi_invalid_arg);
  REQUIRE(function->value->kind == Kind::kFunction, napi_function_expected);
  Values values;
  for (size_t i = 0; i < count; i++) values.push_back(arguments[i]->value);
  Value answer = stub::Call(function->value, self == nullptr ? stub::Undefined(env) : self->value, values);
  if (env->is_throwing) return env->Done(napi_pending_exception);
  if (result != nullptr) *result = env->Handle(answer);
  return env->Done(napi_ok);
}

static void DefineAll(napi_env env, const Value& on, size_t count, const napi_property_descriptor* properties) {
  for (size_t i = 0; i < count; i++) {
    const napi_property_descriptor& property = properties[i];
    const std::string name = property.utf8name != nullptr ? property.utf8name : property.name->value->text;
    if (property.getter != nullptr) {
      on->accessors[name] = {property.getter, property.data};
    } else if (property.method != nullptr) {
      napi_value function;
      napi_create_function(env, name.c_str(), name.size(), property.method, property.data, &function);
      on->properties[name] = function->value;
    } else {
      on->properties[name] = property.value->value;
    }
  }
}

napi_status napi_define_properties(napi_env env, napi_value object, size_t count,
                                   const napi_property_descriptor* properties) {
  PREAMBLE();
  REQUIRE(object != nullptr, napi_invalid_arg);
  DefineAll(env, object->value, count, properties);
  return env->Done(napi_ok);
}

napi_status napi_define_class(napi_env env, const char*, size_t, napi_callback constructor, void* data, size_t count,
                              const napi_property_descriptor* properties, napi_value* result) {
  PREAMBLE();
  Value made = std::make_shared<Entity>(env, Kind::kFunction);
  made->callback = constructor;
  made->data = data;
  made->prototype = stub::Object(env);
  DefineAll(env, made->prototype, count, properties);
  *result = env->Handle(made);
  return env->Done(napi_ok);
}

napi_status napi_wrap(napi_env env, napi_value object, void* data, napi_finalize finalize, void* hint,
                      napi_ref* result) {
  PREAMBLE();
  REQUIRE(object != nullptr, napi_invalid_arg);
  REQUIRE(object->value->wrapped == nullptr, napi_invalid_arg);
  object->value->wrapped = data;
  object->value->unwrap = {finalize, data, hint};
  if (result != nullptr) {
    env->references++;
    *result = new napi_ref__{0, object->value, nullptr};
  }
  return env->Done(napi_ok);
}

napi_status napi_unwrap(napi_env env, napi_value object, void** result) {
  PREAMBLE();
  REQUIRE(object != nullptr && object->value->wrapped != nullptr, napi_invalid_arg);
  *result = object->value->wrapped;
  return env->Done(napi_ok);
}

napi_status napi_remove_wrap(napi_env env, napi_value object, void** result) {
  PREAMBLE();
  REQUIRE(object != nullptr && object->value->wrapped != nullptr, napi_invalid_arg);
  if (result != nullptr) *result = object->value->wrapped;
  object->value->wrapped = nullptr;
  object->value->unwrap = {};
  return env->Done(napi_ok);
}

napi_status napi_add_finalizer(napi_env env, napi_value object, void* data, napi_finalize finalize, void* hint,
                               napi_ref* result) {
  REQUIRE(object != nullptr && result == nullptr, napi_invalid_arg);
  REQUIRE(stub::IsObject(object->value), napi_object_expected);
  object->value->finalizers.push_back({finalize, data, hint});
  return env->Done(napi_ok);
}

// Lifetimes.

napi_status napi_create_reference(napi_env env, napi_value value, uint32_t count, napi_ref* result) {
  REQUIRE(value != nullptr, napi_invalid_arg);
  REQUIRE(stub::IsObject(value->value), napi_object_expected);
  env->references++;
  *result = new napi_ref__{count, value->value, count > 0 ? value->value : nullptr};
  return env->Done(napi_ok);
}

napi_status napi_delete_reference(napi_env env, napi_ref reference) {
  REQUIRE(reference != nullptr, napi_invalid_arg);
  env->references--;
  delete reference;
  return env->Done(napi_ok);
}

napi_status napi_get_reference_value(napi_env env, napi_ref reference, napi_value* result) {
  REQUIRE(reference != nullptr, napi_invalid_arg);
  Value value = reference->weak.lock();
  *result = value == nullptr ? nullptr : env->Handle(value);
  return env->Done(napi_ok);
}

napi_status napi_reference_ref(napi_env env, napi_ref reference, uint32_t* result) {
  REQUIRE(reference != nullptr, napi_invalid_arg);
  if (++reference->count == 1) reference->strong = reference->weak.lock();
  if (result != nullptr) *result = reference->count;
  return env->Done(napi_ok);
}

napi_status napi_reference_unref(napi_env env, napi_ref reference, uint32_t* result) {
  REQUIRE(reference != nullptr && reference->count > 0, napi_generic_failure);
  if (--reference->count == 0) reference->strong = nullptr;
  if (result != nullptr) *result = reference->count;
  return env->Done(napi_ok);
}

napi_status napi_open_handle_scope(napi_env env, napi_handle_scope* result) {
  env->scopes.emplace_back();
  *result = reinterpret_cast<napi_handle_scope>(env->scopes.size());
  return env->Done(napi_ok);
}

napi_status napi_close_handle_scope(napi_env env, napi_handle_scope scope) {
  REQUIRE(reinterpret_cast<size_t>(scope) == env->scopes.size(), napi_handle_scope_mismatch);
  env->scopes.pop_back();
  return env->Done(napi_ok);
}

napi_status napi_open_escapable_handle_scope(napi_env env, napi_escapable_handle_scope* result) {
  return napi_open_handle_scope(env, reinterpret_cast<napi_handle_scope*>(result));
}

napi_status napi_close_escapable_handle_scope(napi_env env, napi_escapable_handle_scope scope) {
  return napi_close_handle_scope(env, reinterpret_cast<napi_handle_scope>(scope));
}

napi_status napi_escape_handle(napi_env env, napi_escapable_handle_scope scope, napi_value value, napi_value* result) {
  auto& outer = env->scopes[reinterpret_cast<size_t>(scope) - 2];
  outer.push_back(std::make_unique<napi_value__>());
  outer.back()->value = value->value;
  *result = outer.back().get();
  return env->Done(napi_ok);
}

napi_status napi_add_env_cleanup_hook(napi_env env, void (*hook)(void*), void* data) {
  env->hooks.emplace_back(hook, data);
  return env->Done(napi_ok);
}

napi_status napi_remove_env_cleanup_hook(napi_env env, void (*hook)(void*), void* data) {
  for (auto at = env->hooks.begin(); at != env->hooks.end(); ++at) {
    if (at->first != hook || at->second != data) continue;
    env->hooks.erase(at);
    break;
  }
  return env->Done(napi_ok);
}

// Errors.

static napi_status MakeError(napi_env env, const char* name, napi_value code, napi_value message, napi_value* result) {
  REQUIRE(message != nullptr, napi_invalid_arg);
  *result = env->Handle(stub::Error(env, name, code == nullptr ? nullptr : code->value, message->value));
  return env->Done(napi_ok);
}

napi_status napi_create_error(napi_env env, napi_value code, napi_value message, napi_value* result) {
  return MakeError(env, "Error", code, message, result);
}

napi_status napi_create_type_error(napi_env env, napi_value code, napi_value message, napi_value* result) {
  return MakeError(env, "TypeError", code, message, result);
}

napi_status napi_create_range_error(napi_env env, napi_value code, napi_value message, napi_value* result) {
  return MakeError(env, "RangeError", code, message, result);
}

static napi_status ThrowError(napi_env env, const char* name, const char* code, const char* message) {
  PREAMBLE();
  Throw(env, name, code == nullptr ? "" : code, message);
  return env->Done(napi_ok);
}

napi_status napi_throw_error(napi_env env, const char* code, const char* message) {
  return ThrowError(env, "Error", code, message);
}

napi_status napi_throw_type_error(napi_env env, const char* code, const char* message) {
  return ThrowError(env, "TypeError", code, message);
}

napi_status napi_throw_range_error(napi_env env, const char* code, const char* message) {
  return ThrowError(env, "RangeError", code, message);
}

napi_status napi_throw(napi_env env, napi_value error) {
  PREAMBLE();
  stub::ThrowValue(env, error->value);
  return env->Done(napi_ok);
}

napi_status napi_is_error(napi_env env, napi_value value, bool* result) {
  *result = value->value->is_error;
  return env->Done(napi_ok);
}

napi_status napi_is_exception_pending(napi_env env, bool* result) {
  *result = env->is_throwing;
  return env->Done(napi_ok);
}

napi_status napi_get_and_clear_last_exception(napi_env env, napi_value* result) {
  if (!env->is_throwing) return napi_get_undefined(env, result);
  env->is_throwing = false;
  *result = env->Handle(std::exchange(env->exception, nullptr));
  return env->Done(napi_ok);
}

napi_status napi_get_last_error_info(napi_env env, const napi_extended_error_info** result) {
  *result = &env->error;
  return napi_ok;
}

void napi_fatal_error(const char* location, size_t, const char* message, size_t) {
  fprintf(stderr, "fatal error: %s: %s\n", location == nullptr ? "" : location, message == nullptr ? "" : message);
  abort();
}

}  // extern "C"
