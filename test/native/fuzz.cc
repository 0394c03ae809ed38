// A hostile component: calls the addon's kernel functions, and its descriptor helpers, in every order with every kind
// of pointer, length, count and handle, while memory grows, is detached or replaced, allocators lie and system calls
// fail.
//
// What must hold: nothing outside of the component's memory is read or written (the sanitizers see that); within it
// only what the call was given room for; a call whose pointers are bad makes no system call, changes nothing, and
// throws RangeError; every exception is one of the documented ones; and when all is gone nothing is left open.
//
//   fuzz SEEDS…                      as libFuzzer's programs are used
//   WRITE_SEEDS=FOLDER fuzz          writes the seeds there and ends

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "node_api_stub.h"
#include "program.h"
#include "shapes.h"
#include "system.h"

using stub::Value;
using stub::Values;

std::vector<KernelShape>& KernelShapes() {
  static auto* shapes = new std::vector<KernelShape>;
  return *shapes;
}

namespace {

constexpr size_t kMostSteps = 64;
constexpr size_t kMostMemory = 16384;
constexpr size_t kMostDescriptors = 16;
constexpr int kMostDepth = 3;

constexpr uint32_t kEdges[] = {0,          1,          2,          3,          4,         1023,       1024, 1025,
                               0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff, 0xfffffff, 0x33333334, 65536};
constexpr int kErrors[] = {ENOSYS, EBADF, ENOMEM, EINTR, EMFILE, EPERM, ENOSPC, EPIPE, EAGAIN, 4095};

[[noreturn]] void Wrong(const char* what, const std::string& where) {
  fprintf(stderr, "\nWRONG: %s: %s\n", where.c_str(), what);
  abort();
}

/// Reads a program.
class Reader {
 public:
  Reader(const uint8_t* bytes, size_t length) : at_(bytes), end_(bytes + length) {}

  bool AtEnd() const { return at_ == end_; }
  uint8_t Byte() { return AtEnd() ? 0 : *at_++; }

  uint32_t Word() {
    uint32_t word = 0;
    for (int shift = 0; shift < 32; shift += 8) word |= static_cast<uint32_t>(Byte()) << shift;
    return word;
  }

  template <typename Enumeration>
  Enumeration One() {
    return static_cast<Enumeration>(Byte() % static_cast<uint8_t>(Enumeration::kCount));
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

/// What the addon reads from an argument: see `Arguments` in host/guest.h.
uint32_t AsWord(const Values& arguments, size_t index) {
  if (index >= arguments.size() || arguments[index]->kind != stub::Kind::kNumber) return 0;
  const double number = arguments[index]->number;
  if (!std::isfinite(number)) return 0;
  return static_cast<uint32_t>(static_cast<int64_t>(std::fmod(std::trunc(number), 4294967296.0)));
}

struct Range {
  uint64_t from;
  uint64_t to;
};

class Component {
 public:
  Component(const uint8_t* bytes, size_t length) : reader_(bytes, length) {
    addon_ = stub::Load(&env_);
    Value io = stub::Get(addon_, "io");
    for (auto& [name, function] : io->properties) helpers_.emplace_back(name, function);
    allocator_ = stub::Function(&env_, [this](const Values& asked) { return Allocate(asked); });
    NewMemory(4096);
    OpenKernel(0);
  }

  ~Component() { test_system::FailNoMore(); }
  Component(const Component&) = delete;
  Component& operator=(const Component&) = delete;

  void Run() {
    for (size_t step = 0; step < kMostSteps && !reader_.AtEnd(); step++) {
      Step();
      env_.scopes[0].clear();
    }
  }

 private:
  void Step() {
    switch (reader_.One<Action>()) {
      case Action::kCall:
        return CallAny();
      case Action::kPoke: {
        const uint32_t place = reader_.Word();
        return Poke(place, reader_.Word());
      }
      case Action::kPokeDescriptor: {
        const uint32_t place = reader_.Word();
        return Poke(place, static_cast<uint32_t>(DescriptorOf(reader_.Byte())));
      }
      case Action::kAllocator:
        how_ = reader_.One<Allocator>();
        answer_ = reader_.Word();
        return;
      case Action::kGrow:
        return Grow(reader_.Byte() * 4u);
      case Action::kDetach:
        return stub::Detach(buffer_);
      case Action::kMemory:
        NewMemory(reader_.Word() % (kMostMemory + 1));
        return BindAll();
      case Action::kOpenKernel:
        return OpenKernel(reader_.Byte());
      case Action::kCloseKernel:
        return CloseKernel();
      case Action::kIo:
        return CallHelper();
      case Action::kNotify: {
        const test_system::Calling calling(test_system::Caller::kKernel);
        stub::Call(stub::Get(addon_, "notify"), addon_, {ReadArgument()});
        return Settle("notify");
      }
      case Action::kFail: {
        const uint8_t after = reader_.Byte();
        return test_system::FailAfter(after % 8, kErrors[reader_.Byte() % std::size(kErrors)]);
      }
      case Action::kOpen:
        return OpenDescriptor(reader_.Byte());
      case Action::kBind:
        return BindOddly();
      case Action::kCount:
        return;
    }
  }

  // ---- Memory
  // --------------------------------------------------------------------------------------------------------

  void NewMemory(size_t size) {
    memory_ = stub::Object(&env_);
    buffer_ = stub::ArrayBuffer(&env_, size);
    memory_->properties["buffer"] = buffer_;
  }

  void Grow(size_t by) {
    Value grown = stub::ArrayBuffer(&env_, std::min(buffer_->length + by, kMostMemory));
    if (buffer_->length > 0) memcpy(grown->bytes.get(), buffer_->bytes.get(), buffer_->length);
    stub::Detach(buffer_);
    buffer_ = grown;
    memory_->properties["buffer"] = grown;
  }

  void Poke(uint32_t place, uint32_t word) {
    if (buffer_->length < sizeof word) return;
    memcpy(buffer_->bytes.get() + place % (buffer_->length - sizeof word + 1), &word, sizeof word);
  }

  Value Allocate(const Values& asked) {
    allocations_++;
    rooms_.push_back({answer_, static_cast<uint64_t>(answer_) + AsWord(asked, 3)});
    Value answer = stub::Number(&env_, answer_);
    switch (how_) {
      case Allocator::kGrows:
        Grow(64);
        break;
      case Allocator::kDetaches:
        stub::Detach(buffer_);
        break;
      case Allocator::kThrows:
        env_.is_throwing = true;
        env_.exception = stub::Symbol(&env_);
        break;
      case Allocator::kAnswersOddly:
        return stub::Object(&env_);
      case Allocator::kCloses:
        stub::Call(stub::Get(kernel_, "close"), kernel_, {});
        break;
      case Allocator::kReenters:
        if (depth_ < kMostDepth) {
          depth_++;
          stub::Call(running_, stub::Undefined(&env_), arguments_);
          depth_--;
        }
        break;
      case Allocator::kReplaces:
        memory_->properties["buffer"] = stub::Number(&env_, 7);
        stub::Detach(buffer_);
        break;
      default:
        break;
    }
    return answer;
  }

  // ---- Kernels
  // -------------------------------------------------------------------------------------------------------

  void OpenKernel(uint8_t which) {
    shape_ = &KernelShapes()[which % KernelShapes().size()];
    const test_system::Calling calling(test_system::Caller::kKernel);
    kernel_ = stub::Construct(stub::Get(stub::Get(addon_, "kernels"), shape_->name), {});
    Value names = stub::Get(kernel_, "functions");
    for (size_t i = 0; i < names->properties.size(); i++) {
      const std::string& name = stub::Get(names, std::to_string(i))->text;
      const auto& shapes = shape_->functions;
      const bool is_known = std::any_of(shapes.begin(), shapes.end(), [&](auto& shape) { return shape.name == name; });
      if (!is_known) Wrong("has a function that its file under kernels/ does not have", shape_->name + "." + name);
    }
    BindAll();
  }

  void BindAll() {
    functions_.clear();
    is_odd_ = false;
    for (const Shape& shape : shape_->functions) {
      functions_.push_back(Bound(shape.name, memory_, allocator_));
      if (env_.is_throwing) Wrong("cannot be bound", shape.name);
    }
  }

  Value Bound(const std::string& name, const Value& memory, const Value& allocator) {
    const test_system::Calling calling(test_system::Caller::kKernel);
    return stub::Call(stub::Get(kernel_, "bind"), kernel_, {stub::String(&env_, name), memory, allocator});
  }

  void BindOddly() {
    const size_t index = reader_.Byte() % shape_->functions.size();
    Value memory = ReadArgument();
    Value allocator = ReadArgument();
    Value bound = Bound(shape_->functions[index].name, memory, allocator);
    if (!env_.is_throwing) functions_[index] = bound;
    is_odd_ = true;
    Settle("bind");
  }

  void CloseKernel() {
    const test_system::Calling calling(test_system::Caller::kKernel);
    stub::Call(stub::Get(kernel_, "close"), kernel_, {});
    Settle("close");
  }

  void CallAny() {
    const size_t index = reader_.Byte() % shape_->functions.size();
    const Shape& shape = shape_->functions[index];
    // Three of four calls have as many arguments as they should.
    const uint8_t off = reader_.Byte();
    const size_t count = off < 192 ? shape.parameters.size() : off % (shape.parameters.size() + 2);
    Values arguments;
    for (size_t i = 0; i < count; i++) arguments.push_back(ReadArgument());
    Check(shape, functions_[index], arguments);
  }

  void Check(const Shape& shape, const Value& function, const Values& arguments) {
    const bool must_refuse = !is_odd_ && IsOutside(shape, arguments);
    rooms_.clear();
    for (size_t i = 0; i < shape.parameters.size(); i++) {
      if (shape.parameters[i].meaning != Parameter::kArea) continue;
      const uint64_t at = AsWord(arguments, i);
      rooms_.push_back({at, at + shape.parameters[i].bytes});
    }
    const Value buffer = buffer_;
    const std::vector<uint8_t> before(buffer->bytes.get(), buffer->bytes.get() + buffer->length);
    const size_t calls = test_system::Calls();
    const bool may_fail = test_system::MayFail();
    allocations_ = 0;
    running_ = function;
    arguments_ = arguments;
    {
      const test_system::Calling calling(test_system::Caller::kKernel);
      stub::Call(function, stub::Undefined(&env_), arguments);
    }
    running_ = nullptr;
    arguments_.clear();
    if (must_refuse) {
      if (!env_.is_throwing) Wrong("took a pointer that is outside", shape.name);
      if (test_system::Calls() != calls) Wrong("made a system call before it refused", shape.name);
      if (NameOf(env_.exception) != "RangeError") Wrong("threw something else than RangeError", shape.name);
      rooms_.clear();
    } else if (env_.is_throwing && !is_odd_ && !may_fail && allocations_ == 0) {
      Wrong("refused what is inside", shape.name);
    }
    for (size_t i = 0; i < buffer->length && i < before.size(); i++) {
      if (before[i] == buffer->bytes[i]) continue;
      const bool may = std::any_of(rooms_.begin(), rooms_.end(), [&](Range& r) { return r.from <= i && i < r.to; });
      if (!may) Wrong("wrote to memory where it has nothing to write", shape.name);
    }
    Settle(shape.name);
  }

  bool IsOutside(const Shape& shape, const Values& arguments) const {
    const uint64_t size = buffer_->length;
    for (size_t i = 0; i < shape.parameters.size(); i++) {
      const Parameter& parameter = shape.parameters[i];
      uint64_t count = 1;
      if (parameter.meaning == Parameter::kList) {
        count = AsWord(arguments, i + 1);
      } else if (parameter.meaning != Parameter::kArea) {
        continue;
      }
      const uint64_t at = AsWord(arguments, i);
      if (at % parameter.alignment != 0 || at + count * parameter.bytes > size) return true;
    }
    return false;
  }

  // ---- Helpers
  // -------------------------------------------------------------------------------------------------------

  void CallHelper() {
    auto& [name, function] = helpers_[reader_.Byte() % helpers_.size()];
    Values arguments;
    for (size_t count = reader_.Byte() % 6; count > 0; count--) arguments.push_back(ReadArgument());
    const size_t before = test_system::Given().size();
    Value result;
    {
      const test_system::Calling calling(test_system::Caller::kIo);
      result = stub::Call(function, stub::Undefined(&env_), arguments);
    }
    if (env_.is_throwing) Wrong("threw", name);
    if (result->kind != stub::Kind::kNumber) Wrong("answered no number", name);
    if (result->number < 0 && test_system::Given().size() > before) Wrong("failed and left a descriptor open", name);
    while (test_system::Given().size() > kMostDescriptors) test_system::TakeAll();
  }

  // ---- Descriptors and arguments
  // -------------------------------------------------------------------------------------

  void OpenDescriptor(uint8_t kind) {
    if (test_system::Given().size() >= kMostDescriptors) return;
    int pair[2] = {-1, -1};
    switch (kind % 5) {
      case 0:
      case 1:
        pair[0] = eventfd(kind % 5 == 0 ? 1 : 0, EFD_NONBLOCK | EFD_CLOEXEC);
        break;
      case 2:
        if (pipe2(pair, O_NONBLOCK | O_CLOEXEC) != 0) return;
        break;
      case 3:
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) return;
        break;
      default:
        pair[0] = memfd_create("regular", MFD_CLOEXEC);
    }
    for (int descriptor : pair) {
      if (descriptor != -1) test_system::Give(descriptor);
    }
  }

  int DescriptorOf(uint8_t which) const {
    const auto& given = test_system::Given();
    if (given.empty()) return -1;
    return *std::next(given.begin(), which % given.size());
  }

  Value ReadArgument() {
    switch (reader_.One<Argument>()) {
      case Argument::kByte:
        return stub::Number(&env_, reader_.Byte());
      case Argument::kWord:
        // A core i32 arrives signed.
        return stub::Number(&env_, static_cast<int32_t>(reader_.Word()));
      case Argument::kFromEnd:
        return stub::Number(&env_, static_cast<double>(buffer_->length) - reader_.Byte());
      case Argument::kDescriptor:
        return stub::Number(&env_, DescriptorOf(reader_.Byte()));
      case Argument::kBig: {
        const uint64_t low = reader_.Word();
        return stub::BigInt(&env_, static_cast<uint64_t>(reader_.Word()) << 32 | low);
      }
      case Argument::kLoad: {
        uint32_t word = 0;
        const uint32_t place = reader_.Word();
        if (buffer_->length >= 4) memcpy(&word, buffer_->bytes.get() + place % (buffer_->length - 3), 4);
        return stub::Number(&env_, word);
      }
      case Argument::kEdge:
        return stub::Number(&env_, static_cast<int32_t>(kEdges[reader_.Byte() % std::size(kEdges)]));
      case Argument::kOdd:
        return OddValue(reader_.Byte());
      case Argument::kTyped: {
        const uint8_t type = reader_.Byte();
        const size_t offset = reader_.Byte() & 0x18u;
        const size_t length = reader_.Byte();
        const auto element = static_cast<napi_typedarray_type>(type % 11);
        // At most 8 bytes an element; 0x80 lends the component's memory, which may be too small or detached.
        Value bytes = type & 0x80 ? buffer_ : stub::ArrayBuffer(&env_, offset + length * SizeOf(element));
        return stub::TypedArray(&env_, element, bytes, offset, length);
      }
      case Argument::kText: {
        std::string text(reader_.Byte(), '\0');
        for (char& character : text) character = static_cast<char>(reader_.Byte());
        return stub::String(&env_, text);
      }
      case Argument::kCount:
        break;
    }
    return stub::Undefined(&env_);
  }

  static size_t SizeOf(napi_typedarray_type element) {
    if (element <= napi_uint8_clamped_array) return 1;
    if (element <= napi_uint16_array) return 2;
    return element <= napi_float32_array ? 4 : 8;
  }

  Value OddValue(uint8_t which) {
    switch (which % 14) {
      case 0:
        return stub::Undefined(&env_);
      case 1:
        return stub::Null(&env_);
      case 2:
        return stub::Boolean(&env_, true);
      case 3:
        return stub::Boolean(&env_, false);
      case 4:
        return stub::String(&env_, "1");
      case 5:
        return stub::Object(&env_);
      case 6:
        return stub::Symbol(&env_);
      case 7:
        return stub::Function(&env_, [this](const Values&) { return stub::Undefined(&env_); });
      case 8:
        return stub::Number(&env_, std::nan(""));
      case 9:
        return stub::Number(&env_, -1.5);
      case 10:
        return stub::Number(&env_, 9007199254740993.0);
      case 11:
        return stub::Number(&env_, -INFINITY);
      case 12:
        return stub::BigInt(&env_, 7, false);
      default:
        return memory_;
    }
  }

  // ---- Exceptions
  // ----------------------------------------------------------------------------------------------------

  std::string NameOf(const Value& exception) {
    return exception->is_error ? exception->properties["name"]->text : "no error";
  }

  /// Looks at what was thrown, and catches it.
  void Settle(const std::string& where) {
    if (!env_.is_throwing) return;
    const std::string name = NameOf(env_.exception);
    const bool is_allocators = env_.exception->kind == stub::Kind::kSymbol && allocations_ > 0;
    if (name != "RangeError" && name != "TypeError" && !is_allocators) Wrong("threw what is not documented", where);
    env_.is_throwing = false;
    env_.exception = nullptr;
  }

  napi_env__ env_;
  Reader reader_;
  const KernelShape* shape_ = nullptr;
  Value addon_, kernel_, memory_, buffer_, allocator_;
  Values functions_;
  std::vector<std::pair<std::string, Value>> helpers_;
  /// Functions were bound to something else than `memory_`.
  bool is_odd_ = false;

  Allocator how_ = Allocator::kAnswers;
  uint32_t answer_ = 64;
  size_t allocations_ = 0;
  std::vector<Range> rooms_;
  Value running_;
  Values arguments_;
  int depth_ = 0;
};

/// Programs that call each helper as it should be called.
std::vector<Program> HelperSeeds() {
  std::vector<Program> seeds;
  // In alphabetical order: accept close connect dup dupOnto eventfd listen localAddress pendingError pipe read
  // setNonBlocking shutdown socketpair write.
  Program files;
  files.Io(5, 1).Small(3).Io(9, 1).Typed(5, 2).Io(13, 2).Odd(2).Typed(5, 2);
  files.Io(10, 4).Descriptor(0).Typed(1, 16).Small(0).Small(16).Io(14, 4).Descriptor(0).Typed(1, 8).Small(0).Small(8);
  files.Io(3, 1).Descriptor(0).Io(4, 2).Descriptor(0).Descriptor(1).Io(11, 2).Descriptor(0).Odd(3);
  files.Io(12, 2).Descriptor(3).Small(2).Io(8, 1).Descriptor(3).Io(7, 2).Descriptor(3).Odd(5).Io(1, 1).Descriptor(0);
  seeds.push_back(files);
  for (const char* host : {"127.0.0.1", "::1", "nowhere", "fe80::1%lo"}) {
    Program sockets;
    sockets.Io(6, 3).Text(host).Small(0).Small(16).Io(7, 2).Descriptor(0).Odd(5).Io(2, 2).Text(host).Small(80);
    sockets.Io(0, 1).Descriptor(0).Io(8, 1).Descriptor(1);
    seeds.push_back(sockets);
  }
  for (uint8_t after = 0; after < 4; after++) {
    Program failing;
    failing.Fail(after, 1).Io(6, 3).Text("::1").Small(0).Small(16).Fail(after, 1).Io(2, 2).Text("::1").Small(80);
    seeds.push_back(failing);
  }
  Program paths;
  paths.Io(6, 3).Text("/tmp/socket").Number(0xffffffff).Small(1).Io(2, 2).Text("/tmp/socket").Number(0xffffffff);
  paths.Io(7, 2).Descriptor(0).Odd(5);
  seeds.push_back(paths);
  return seeds;
}

void WriteSeeds(const std::string& folder) {
  std::vector<Program> seeds = HelperSeeds();
  for (uint8_t kernel = 0; kernel < KernelShapes().size(); kernel++) {
    for (const Program& seed : KernelShapes()[kernel].seeds) {
      Program program;
      program.Do(Action::kOpenKernel).Byte(kernel);
      for (uint8_t byte : seed.Bytes()) program.Byte(byte);
      seeds.push_back(program);
    }
  }
  for (size_t i = 0; i < seeds.size(); i++) {
    std::ofstream file(folder + "/seed-" + std::to_string(i), std::ios::binary);
    file.write(reinterpret_cast<const char*>(seeds[i].Bytes().data()), seeds[i].Bytes().size());
  }
  printf("%zu seeds\n", seeds.size());
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (const char* folder = getenv("WRITE_SEEDS")) {
    WriteSeeds(folder);
    exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length) {
  {
    Component component(bytes, length);
    component.Run();
  }
  if (!test_system::Held().empty()) Wrong("left a descriptor open", "the end");
  test_system::TakeAll();
  return 0;
}
