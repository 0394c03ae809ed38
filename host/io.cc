// The descriptor helpers of `lio-poller/io`: one system call each, or the few that belong together. Relies on POSIX,
// and on the calls of the first section, which create descriptors with their flags already set.
//
// Every function returns a number to JavaScript: a count, a descriptor or zero, or a negative error number. Arguments
// come checked from src/io.ts; here they are only kept from doing harm, and what slips through is -EINVAL.

#if !defined(_WIN32)

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <node_api.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "addon.h"

#if __has_include(<sys/eventfd.h>)
#include <sys/eventfd.h>
#define LIO_HAS_EVENTFD 1
#endif

namespace lio {
namespace {

// What POSIX.1-2008 does not have -------------------------------------------------------------------------------------
//
// Each creates descriptors that are close-on-exec from birth. Setting the flag afterwards would leave a moment in which
// a child that another thread starts inherits them.

#if !defined(__APPLE__)

int OpenPipe(int pair[2]) {
  return pipe2(pair, O_CLOEXEC | O_NONBLOCK);
}

int OpenSocketPair(int type, int pair[2]) {
  return socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
}

int OpenStreamSocket(int family) {
  return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int AcceptConnection(int listener) {
  return accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int DuplicateOnto(int fd, int onto) {
  return dup3(fd, onto, O_CLOEXEC);
}

#else

// macOS has no call that takes the flags, so that moment stays.

// The descriptor, or -1 if there is none, or if its flags cannot be set, which closes it.
int WithFlags(int fd) {
  if (fd == -1 || (fcntl(fd, F_SETFD, FD_CLOEXEC) != -1 && fcntl(fd, F_SETFL, O_NONBLOCK) != -1)) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

// The same for the two of a pair, which stay or go together.
int PairWithFlags(int result, const int pair[2]) {
  if (result == -1) return -1;
  const bool first = WithFlags(pair[0]) != -1;
  const bool second = WithFlags(pair[1]) != -1;
  if (first && second) return 0;
  const int error = errno;
  if (first) close(pair[0]);
  if (second) close(pair[1]);
  errno = error;
  return -1;
}

int OpenPipe(int pair[2]) {
  return PairWithFlags(pipe(pair), pair);
}

int OpenSocketPair(int type, int pair[2]) {
  return PairWithFlags(socketpair(AF_UNIX, type, 0, pair), pair);
}

int OpenStreamSocket(int family) {
  return WithFlags(socket(family, SOCK_STREAM, 0));
}

int AcceptConnection(int listener) {
  return WithFlags(accept(listener, nullptr, nullptr));
}

// Whether it blocks is the original's flag, which both share.
int DuplicateOnto(int fd, int onto) {
  if (fd == onto) {
    errno = EINVAL;
    return -1;
  }
  if (dup2(fd, onto) == -1) return -1;
  return fcntl(onto, F_SETFD, FD_CLOEXEC) == -1 ? -1 : onto;
}

#endif

int OpenEventfd([[maybe_unused]] unsigned int initial) {
#if defined(LIO_HAS_EVENTFD)
  return eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK);
#else
  errno = ENOTSUP;
  return -1;
#endif
}

// POSIX allows two numbers for "would block"; src/io.ts knows one.
static_assert(EAGAIN == EWOULDBLOCK, "read and write must turn EWOULDBLOCK into EAGAIN");

// Results and arguments -----------------------------------------------------------------------------------------------

// The result of a system call, or its negative error number.
template <typename Result>
Result Verdict(Result result) {
  return result == -1 ? -errno : result;
}

// The same for a call that may be repeated when a signal interrupted it.
template <typename Call>
auto Uninterrupted(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return Verdict(result);
}

// A call that writes, with SIGPIPE held back from this thread: while it is blocked it becomes pending, and is then
// taken away.
template <typename Call>
ssize_t HoldingSigpipe(Call call) {
  sigset_t sigpipe, pending, mask;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  pthread_sigmask(SIG_BLOCK, &sigpipe, &mask);
  const ssize_t result = Uninterrupted(call);
  if (result == -EPIPE && !was_pending) {
    int taken;
    sigpending(&pending);
    if (sigismember(&pending, SIGPIPE) == 1) sigwait(&sigpipe, &taken);
  }
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  return result;
}

// Node ignores SIGPIPE from its start, but a program that has listened to it and stopped, or an embedder, is back at
// the default: death. The look at the disposition costs less than masking every time.
template <typename Call>
ssize_t WithoutSigpipe(Call call) {
  struct sigaction disposition;
  const bool ignored = sigaction(SIGPIPE, nullptr, &disposition) == 0 && disposition.sa_handler == SIG_IGN;
  return ignored ? Uninterrupted(call) : HoldingSigpipe(call);
}

// send(2) that does not raise SIGPIPE. The kernel can be told not to, except macOS's. Pipes have no such flag before
// Linux 6.18 (RWF_NOSIGNAL).
ssize_t Send(int fd, const uint8_t* bytes, size_t length, int flags) {
#if defined(MSG_NOSIGNAL)
  return Uninterrupted([&] { return send(fd, bytes, length, flags | MSG_NOSIGNAL); });
#else
  return WithoutSigpipe([&] { return send(fd, bytes, length, flags); });
#endif
}

// A descriptor that closes with its scope, unless it is released.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }

  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

bool GetInt(const Napi::CallbackInfo& info, size_t index, int* value) {
  if (!info[index].IsNumber()) return false;
  *value = info[index].As<Napi::Number>().Int32Value();
  return true;
}

bool GetBool(const Napi::CallbackInfo& info, size_t index, bool* value) {
  if (!info[index].IsBoolean()) return false;
  *value = info[index].As<Napi::Boolean>().Value();
  return true;
}

// A Float64Array with room for the two descriptors of a pair: on Windows they have more than 32 bits.
bool GetPair(const Napi::CallbackInfo& info, size_t index, double** pair) {
  if (!info[index].IsTypedArray()) return false;
  const auto array = info[index].As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_float64_array || array.ElementLength() < 2) return false;
  *pair = array.As<Napi::Float64Array>().Data();
  return true;
}

// The verdict of a call that has opened these two, which go to JavaScript if it has.
int PairVerdict(int result, const int (&opened)[2], double* pair) {
  if (result == 0) std::copy_n(opened, 2, pair);
  return Verdict(result);
}

// Addresses -----------------------------------------------------------------------------------------------------------

// The `port` that marks an address as the path of a Unix socket.
constexpr int kNoPort = -1;

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t length = sizeof(storage);

  int family() const { return storage.ss_family; }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

int ParsePath(const std::string& path, SocketAddress* address) {
  sockaddr_un local = {};
  // A NUL would cut the path short, and an empty one means an address of the kernel's choice: see unix(7).
  if (path.empty() || path.find('\0') != std::string::npos) return -EINVAL;
  // Linux would take a path that fills the field without its final NUL; others would not.
  if (path.size() >= sizeof(local.sun_path)) return -ENAMETOOLONG;
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, path.data(), path.size());
  std::memcpy(&address->storage, &local, sizeof(local));
  address->length = sizeof(local);
  return 0;
}

// getaddrinfo(3) rather than inet_pton(3), because it knows the zones of link-local addresses ("fe80::1%eth0"). With
// these flags it asks no resolver and does not block.
int ParseHost(const std::string& host, int port, SocketAddress* address) {
  if (port < 0 || port > 65535 || host.find('\0') != std::string::npos) return -EINVAL;
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  switch (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first)) {
    case 0:
      break;
    case EAI_MEMORY:
      return -ENOMEM;
    case EAI_SYSTEM:
      return -errno;
    default:
      return -EINVAL;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(first, freeaddrinfo);
  std::memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
  address->length = found->ai_addrlen;
  return 0;
}

// The first two arguments of listen and connect: (host, port), or (path, kNoPort).
int GetAddress(const Napi::CallbackInfo& info, SocketAddress* address) {
  int port;
  if (!info[0].IsString() || !GetInt(info, 1, &port)) return -EINVAL;
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  return port == kNoPort ? ParsePath(name, address) : ParseHost(name, port, address);
}

int DescribePath(const SocketAddress& address, Napi::Object into) {
  const char* path = reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path;
  const size_t header = offsetof(sockaddr_un, sun_path);
  size_t length = address.length > header ? address.length - header : 0;
  // The kernel may or may not count the final NUL. A leading NUL marks an abstract name, all of whose bytes count.
  if (length > 0 && path[0] != '\0') length = strnlen(path, length);
  into.Set("path", Napi::String::New(into.Env(), path, length));
  return 0;
}

int DescribeHost(SocketAddress& address, Napi::Object into) {
  char host[NI_MAXHOST];
  const int flags = NI_NUMERICHOST;
  if (getnameinfo(address.get(), address.length, host, sizeof(host), nullptr, 0, flags) != 0) return -EINVAL;
  const in_port_t port = address.family() == AF_INET
                             ? reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port
                             : reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port;
  into.Set("host", Napi::String::New(into.Env(), host));
  into.Set("port", Napi::Number::New(into.Env(), ntohs(port)));
  return 0;
}

// The functions -------------------------------------------------------------------------------------------------------

// (pair) → 0, and the read end and the write end in the pair.
int Pipe(const Napi::CallbackInfo& info) {
  double* pair;
  int opened[2];
  if (!GetPair(info, 0, &pair)) return -EINVAL;
  return PairVerdict(OpenPipe(opened), opened, pair);
}

// (datagram, pair) → 0, and the two ends in the pair.
int SocketPair(const Napi::CallbackInfo& info) {
  bool datagram;
  double* pair;
  int opened[2];
  if (!GetBool(info, 0, &datagram) || !GetPair(info, 1, &pair)) return -EINVAL;
  return PairVerdict(OpenSocketPair(datagram ? SOCK_DGRAM : SOCK_STREAM, opened), opened, pair);
}

// (initial) → descriptor
int Eventfd(const Napi::CallbackInfo& info) {
  if (!info[0].IsNumber()) return -EINVAL;
  return Verdict(OpenEventfd(info[0].As<Napi::Number>().Uint32Value()));
}

// (host, port, backlog) or (path, kNoPort, backlog) → descriptor
int Listen(const Napi::CallbackInfo& info) {
  SocketAddress address;
  int backlog;
  const int parsed = GetAddress(info, &address);
  if (parsed < 0) return parsed;
  if (!GetInt(info, 2, &backlog)) return -EINVAL;

  Descriptor listener(OpenStreamSocket(address.family()));
  if (listener.get() == -1) return -errno;
  if (address.family() != AF_UNIX) {
    // Else the port of a server that has just ended is refused while its connections are in TIME_WAIT: see tcp(7).
    const int on = 1;
    if (setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1) return -errno;
  }
  if (bind(listener.get(), address.get(), address.length) == -1) return -errno;
  if (listen(listener.get(), backlog) == -1) return -errno;
  return listener.Release();
}

// (fd, into) → 0, and `host` and `port`, or `path`, set on the object.
int LocalAddress(const Napi::CallbackInfo& info) {
  int fd;
  SocketAddress address;
  if (!GetInt(info, 0, &fd) || !info[1].IsObject()) return -EINVAL;
  if (getsockname(fd, address.get(), &address.length) == -1) return -errno;

  const auto into = info[1].As<Napi::Object>();
  switch (address.family()) {
    case AF_UNIX:
      return DescribePath(address, into);
    case AF_INET:
    case AF_INET6:
      return DescribeHost(address, into);
    default:
      return -EAFNOSUPPORT;
  }
}

// (fd) → descriptor
int Accept(const Napi::CallbackInfo& info) {
  int fd;
  if (!GetInt(info, 0, &fd)) return -EINVAL;
  return Uninterrupted([&] { return AcceptConnection(fd); });
}

// (host, port) or (path, kNoPort) → descriptor
int Connect(const Napi::CallbackInfo& info) {
  SocketAddress address;
  const int parsed = GetAddress(info, &address);
  if (parsed < 0) return parsed;

  Descriptor connection(OpenStreamSocket(address.family()));
  if (connection.get() == -1) return -errno;
  if (connect(connection.get(), address.get(), address.length) == 0) return connection.Release();
  // An interrupted connect goes on by itself, and a second call would say EALREADY: see connect(3p), EINTR.
  if (errno == EINPROGRESS || errno == EINTR) return connection.Release();
  return -errno;
}

// (fd) → the error number that was pending, or 0
int PendingError(const Napi::CallbackInfo& info) {
  int fd;
  if (!GetInt(info, 0, &fd)) return -EINVAL;
  int pending = 0;
  socklen_t length = sizeof(pending);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &length) == -1) return -errno;
  return pending;
}

// (fd, byte) → 1
int SendUrgent(const Napi::CallbackInfo& info) {
  int fd, value;
  if (!GetInt(info, 0, &fd) || !GetInt(info, 1, &value) || value < 0 || value > UINT8_MAX) return -EINVAL;
  const uint8_t byte = static_cast<uint8_t>(value);
  return static_cast<int>(Send(fd, &byte, sizeof(byte), MSG_OOB));
}

// (fd) → the byte
int ReceiveUrgent(const Napi::CallbackInfo& info) {
  int fd;
  uint8_t byte;
  if (!GetInt(info, 0, &fd)) return -EINVAL;
  const ssize_t count = Uninterrupted([&] { return recv(fd, &byte, sizeof(byte), MSG_OOB); });
  if (count < 0) return static_cast<int>(count);
  // Where the connection has ended, some systems return nothing where others say that there is none.
  return count == 0 ? -EINVAL : byte;
}

// (fd, how) → 0, where `how` is 0 for reading, 1 for writing, 2 for both
int Shutdown(const Napi::CallbackInfo& info) {
  constexpr int kHow[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
  int fd, how;
  if (!GetInt(info, 0, &fd) || !GetInt(info, 1, &how) || how < 0 || how > 2) return -EINVAL;
  return Verdict(shutdown(fd, kHow[how]));
}

// (fd, enabled) → 0
int SetNonBlocking(const Napi::CallbackInfo& info) {
  int fd;
  bool enabled;
  if (!GetInt(info, 0, &fd) || !GetBool(info, 1, &enabled)) return -EINVAL;
  const int before = fcntl(fd, F_GETFL);
  if (before == -1) return -errno;
  const int after = enabled ? before | O_NONBLOCK : before & ~O_NONBLOCK;
  if (after == before) return 0;
  return Verdict(fcntl(fd, F_SETFL, after));
}

// (fd) → descriptor
int Dup(const Napi::CallbackInfo& info) {
  int fd;
  if (!GetInt(info, 0, &fd)) return -EINVAL;
  return Verdict(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

// (fd, onto) → onto
int DupOnto(const Napi::CallbackInfo& info) {
  int fd, onto;
  if (!GetInt(info, 0, &fd) || !GetInt(info, 1, &onto)) return -EINVAL;
  return Uninterrupted([&] { return DuplicateOnto(fd, onto); });
}

// (fd) → 0
int Close(const Napi::CallbackInfo& info) {
  int fd;
  if (!GetInt(info, 0, &fd)) return -EINVAL;
  if (close(fd) == 0) return 0;
  // The descriptor is gone when the signal comes, and its number may be another thread's by now: see close(2), "Dealing
  // with error returns from close()".
  return errno == EINTR ? 0 : -errno;
}

// read and write ------------------------------------------------------------------------------------------------------
//
// These are called once per event, so they go to Node-API directly: one call checks and fetches an argument, for which
// the C++ wrappers need two or three.

// What (fd, buffer, offset, length) means.
struct Transfer {
  int fd;
  uint8_t* bytes;
  size_t length;
};

bool GetTransfer(napi_env env, napi_callback_info info, Transfer* transfer) {
  size_t count = 4;
  napi_value values[4];
  if (napi_get_cb_info(env, info, &count, values, nullptr, nullptr) != napi_ok) return false;

  napi_typedarray_type type;
  size_t size;
  void* start;
  int64_t offset, length;
  if (napi_get_value_int32(env, values[0], &transfer->fd) != napi_ok) return false;
  if (napi_get_typedarray_info(env, values[1], &type, &size, &start, nullptr, nullptr) != napi_ok) return false;
  if (napi_get_value_int64(env, values[2], &offset) != napi_ok) return false;
  if (napi_get_value_int64(env, values[3], &length) != napi_ok) return false;

  if (type != napi_uint8_array) return false;
  // Unsigned, what is below zero lies beyond every size.
  if (static_cast<uint64_t>(offset) > size || static_cast<uint64_t>(length) > size - offset) return false;
  transfer->bytes = static_cast<uint8_t*>(start) + offset;
  // Linux moves no more than this at once, macOS refuses more; callers must expect a smaller count anyway.
  transfer->length = std::min<size_t>(length, INT32_MAX);
  return true;
}

napi_value Number(napi_env env, ssize_t value) {
  napi_value number = nullptr;
  napi_create_int32(env, static_cast<int32_t>(value), &number);
  return number;
}

napi_value Read(napi_env env, napi_callback_info info) {
  Transfer transfer;
  if (!GetTransfer(env, info, &transfer)) return Number(env, -EINVAL);
  return Number(env, Uninterrupted([&] { return read(transfer.fd, transfer.bytes, transfer.length); }));
}

// Whether a descriptor is a socket would cost one a second system call; to try costs only the others one.
ssize_t WriteWithoutSigpipe(const Transfer& transfer) {
  const ssize_t sent = Send(transfer.fd, transfer.bytes, transfer.length, 0);
  if (sent != -ENOTSOCK) return sent;
  return WithoutSigpipe([&] { return write(transfer.fd, transfer.bytes, transfer.length); });
}

napi_value Write(napi_env env, napi_callback_info info) {
  Transfer transfer;
  if (!GetTransfer(env, info, &transfer)) return Number(env, -EINVAL);
  return Number(env, WriteWithoutSigpipe(transfer));
}

// The object ----------------------------------------------------------------------------------------------------------

template <int (*Function)(const Napi::CallbackInfo&)>
Napi::Value Call(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Function(info));
}

template <int (*Function)(const Napi::CallbackInfo&)>
void Define(Napi::Object io, const char* name) {
  io.Set(name, Napi::Function::New<Call<Function>>(io.Env(), name));
}

void DefineRaw(Napi::Object io, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  const napi_status status = napi_create_function(io.Env(), name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  NAPI_THROW_IF_FAILED_VOID(io.Env(), status);
  io.Set(name, function);
}

}  // namespace

Napi::Object Io(Napi::Env env) {
  Napi::Object io = Napi::Object::New(env);
  Define<Pipe>(io, "pipe");
  Define<SocketPair>(io, "socketpair");
  Define<Eventfd>(io, "eventfd");
  Define<Listen>(io, "listen");
  Define<LocalAddress>(io, "localAddress");
  Define<Accept>(io, "accept");
  Define<Connect>(io, "connect");
  Define<PendingError>(io, "pendingError");
  Define<SendUrgent>(io, "sendUrgent");
  Define<ReceiveUrgent>(io, "receiveUrgent");
  Define<Shutdown>(io, "shutdown");
  Define<SetNonBlocking>(io, "setNonBlocking");
  Define<Dup>(io, "dup");
  Define<DupOnto>(io, "dupOnto");
  Define<Close>(io, "close");
  DefineRaw(io, "read", Read);
  DefineRaw(io, "write", Write);
  return io;
}

}  // namespace lio

#endif
