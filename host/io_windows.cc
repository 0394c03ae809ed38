// The descriptor helpers of `lio-poller/io` on Windows, where a descriptor is a SOCKET. Relies on Winsock 2.
//
// As in io.cc, every function returns a number to JavaScript: a count, a descriptor or zero, or a negative error
// number. What Windows cannot poll, such as pipes and files, cannot be made here either: -ENOTSUP.

#if defined(_WIN32)

#include <winsock2.h>
#include <ws2tcpip.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "addon.h"
#include "errors_windows.h"
#include "handles_windows.h"
#include "sockets_windows.h"

namespace lio {
namespace {

// Results and arguments -----------------------------------------------------------------------------------------------

// What goes to JavaScript. Of a SOCKET, which is a handle, Windows uses 32 bits, so that every one is an exact number.
using Result = int64_t;

Result Refused(ErrorNumber number) {
  return -static_cast<Result>(number);
}

Result LastError() {
  return -static_cast<Result>(ErrorNumberOf(static_cast<uint32_t>(WSAGetLastError())));
}

// Why a call on a descriptor failed. Winsock says the same of what is not open and of what is no socket.
Result LastErrorOf(SOCKET fd) {
  if (WSAGetLastError() != WSAENOTSOCK) return LastError();
  DWORD flags;
  // The number of INVALID_SOCKET is also a name of the process itself, which is always open.
  const bool open = fd != INVALID_SOCKET && GetHandleInformation(reinterpret_cast<HANDLE>(fd), &flags);
  return Refused(open ? kENOTSOCK : kEBADF);
}

Result Verdict(SOCKET fd, int result) {
  return result == SOCKET_ERROR ? LastErrorOf(fd) : result;
}

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

// Numbers below zero name nothing that is open.
bool GetSocket(const Napi::CallbackInfo& info, size_t index, SOCKET* fd) {
  if (!info[index].IsNumber()) return false;
  const int64_t number = info[index].As<Napi::Number>().Int64Value();
  *fd = number < 0 ? INVALID_SOCKET : static_cast<SOCKET>(number);
  return true;
}

// A Float64Array with room for the two descriptors of a pair.
bool GetPair(const Napi::CallbackInfo& info, size_t index, double** pair) {
  if (!info[index].IsTypedArray()) return false;
  const auto array = info[index].As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_float64_array || array.ElementLength() < 2) return false;
  *pair = array.As<Napi::Float64Array>().Data();
  return true;
}

// Addresses -----------------------------------------------------------------------------------------------------------

// The `port` that marks an address as the path of a Unix socket.
constexpr int kNoPort = -1;

// The first two arguments of listen and connect: (host, port), or (path, kNoPort). With these flags getaddrinfo asks no
// resolver and does not block.
Result GetAddress(const Napi::CallbackInfo& info, SocketAddress* address) {
  int port;
  if (!info[0].IsString() || !GetInt(info, 1, &port)) return Refused(kEINVAL);
  if (port == kNoPort) return Refused(kENOTSUP);
  const std::string host = info[0].As<Napi::String>().Utf8Value();
  if (port < 0 || port > 65535 || host.find('\0') != std::string::npos) return Refused(kEINVAL);

  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int failure = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first);
  if (failure != 0) return Refused(failure == EAI_MEMORY ? kENOMEM : kEINVAL);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(first, freeaddrinfo);
  std::memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
  address->length = static_cast<int>(found->ai_addrlen);
  return 0;
}

// The functions -------------------------------------------------------------------------------------------------------

// What makes or names descriptors that are no sockets.
Result Unsupported(const Napi::CallbackInfo&) {
  return Refused(kENOTSUP);
}

// (datagram, pair) → 0, and the two ends in the pair.
Result SocketPair(const Napi::CallbackInfo& info) {
  bool datagram;
  double* pair;
  if (!GetBool(info, 0, &datagram) || !GetPair(info, 1, &pair)) return Refused(kEINVAL);
  SOCKET opened[2];
  if (!(datagram ? OpenDatagramPair(opened) : OpenStreamPair(opened))) return LastError();
  pair[0] = static_cast<double>(opened[0]);
  pair[1] = static_cast<double>(opened[1]);
  return 0;
}

// (host, port, backlog) → descriptor. No SO_REUSEADDR: here that lets others take a port that is in use, and one whose
// connections are in TIME_WAIT can be bound without it.
Result Listen(const Napi::CallbackInfo& info) {
  SocketAddress address;
  int backlog;
  const Result parsed = GetAddress(info, &address);
  if (parsed < 0) return parsed;
  if (!GetInt(info, 2, &backlog)) return Refused(kEINVAL);

  Socket listener(OpenSocket(address.family(), SOCK_STREAM));
  if (!listener.IsOpen()) return LastError();
  if (bind(listener.get(), address.get(), address.length) != 0) return LastError();
  if (listen(listener.get(), backlog) != 0) return LastError();
  return static_cast<Result>(listener.Release());
}

// (fd, into) → 0, and `host` and `port` set on the object.
Result LocalAddress(const Napi::CallbackInfo& info) {
  SOCKET fd;
  SocketAddress address;
  if (!GetSocket(info, 0, &fd) || !info[1].IsObject()) return Refused(kEINVAL);
  if (getsockname(fd, address.get(), &address.length) != 0) return LastErrorOf(fd);
  if (address.family() != AF_INET && address.family() != AF_INET6) return Refused(kEAFNOSUPPORT);

  char host[NI_MAXHOST];
  const int flags = NI_NUMERICHOST;
  if (getnameinfo(address.get(), address.length, host, sizeof(host), nullptr, 0, flags) != 0) return LastError();
  // The port lies at the same place in both families.
  const u_short port = reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port;
  auto into = info[1].As<Napi::Object>();
  into.Set("host", Napi::String::New(info.Env(), host));
  into.Set("port", Napi::Number::New(info.Env(), ntohs(port)));
  return 0;
}

// (fd) → descriptor
Result Accept(const Napi::CallbackInfo& info) {
  SOCKET fd;
  if (!GetSocket(info, 0, &fd)) return Refused(kEINVAL);
  Socket accepted(accept(fd, nullptr, nullptr));
  if (!accepted.IsOpen()) return LastErrorOf(fd);
  if (!Prepare(accepted.get())) return LastError();
  return static_cast<Result>(accepted.Release());
}

// (host, port) → descriptor
Result Connect(const Napi::CallbackInfo& info) {
  SocketAddress address;
  const Result parsed = GetAddress(info, &address);
  if (parsed < 0) return parsed;
  Socket connection(OpenSocket(address.family(), SOCK_STREAM));
  if (!connection.IsOpen() || !ConnectTo(connection.get(), &address)) return LastError();
  return static_cast<Result>(connection.Release());
}

// (fd) → the error number that was pending, or 0
Result PendingError(const Napi::CallbackInfo& info) {
  SOCKET fd;
  if (!GetSocket(info, 0, &fd)) return Refused(kEINVAL);
  int pending = 0;
  int length = sizeof(pending);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&pending), &length) != 0) return LastErrorOf(fd);
  return pending == 0 ? 0 : ErrorNumberOf(static_cast<uint32_t>(pending));
}

// (fd, how) → 0, where `how` is 0 for reading, 1 for writing, 2 for both
Result Shutdown(const Napi::CallbackInfo& info) {
  constexpr int kHow[] = {SD_RECEIVE, SD_SEND, SD_BOTH};
  SOCKET fd;
  int how;
  if (!GetSocket(info, 0, &fd) || !GetInt(info, 1, &how) || how < 0 || how > 2) return Refused(kEINVAL);
  return Verdict(fd, shutdown(fd, kHow[how]));
}

// (fd, enabled) → 0
Result SetNonBlocking(const Napi::CallbackInfo& info) {
  SOCKET fd;
  bool enabled;
  if (!GetSocket(info, 0, &fd) || !GetBool(info, 1, &enabled)) return Refused(kEINVAL);
  u_long on = enabled ? 1 : 0;
  return Verdict(fd, ioctlsocket(fd, FIONBIO, &on));
}

// (fd) → descriptor
Result Dup(const Napi::CallbackInfo& info) {
  SOCKET fd;
  if (!GetSocket(info, 0, &fd)) return Refused(kEINVAL);
  WSAPROTOCOL_INFOW shared;
  if (WSADuplicateSocketW(fd, GetCurrentProcessId(), &shared) != 0) return LastErrorOf(fd);
  const int any = FROM_PROTOCOL_INFO;
  Socket duplicate(WSASocketW(any, any, any, &shared, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT));
  return duplicate.IsOpen() ? static_cast<Result>(duplicate.Release()) : LastError();
}

// (fd) → 0
Result Close(const Napi::CallbackInfo& info) {
  SOCKET fd;
  if (!GetSocket(info, 0, &fd)) return Refused(kEINVAL);
  return Verdict(fd, closesocket(fd));
}

// What (fd, buffer, offset, length) means.
struct Transfer {
  SOCKET fd;
  char* bytes;
  int length;
};

bool GetTransfer(const Napi::CallbackInfo& info, Transfer* transfer) {
  if (!GetSocket(info, 0, &transfer->fd) || !info[1].IsTypedArray()) return false;
  if (!info[2].IsNumber() || !info[3].IsNumber()) return false;
  const auto array = info[1].As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array) return false;
  const uint64_t size = array.ByteLength();
  // Unsigned, what is below zero lies beyond every size.
  const auto offset = static_cast<uint64_t>(info[2].As<Napi::Number>().Int64Value());
  const auto length = static_cast<uint64_t>(info[3].As<Napi::Number>().Int64Value());
  if (offset > size || length > size - offset) return false;
  transfer->bytes = reinterpret_cast<char*>(array.As<Napi::Uint8Array>().Data()) + offset;
  transfer->length = static_cast<int>(std::min<uint64_t>(length, INT32_MAX));
  return true;
}

// recv, whose answers are made read(2)'s.
Result Receive(const Transfer& transfer) {
  const int count = recv(transfer.fd, transfer.bytes, transfer.length, 0);
  if (count != SOCKET_ERROR) return count;
  switch (WSAGetLastError()) {
    case WSAEMSGSIZE:
      // The rest of the datagram is lost, as everywhere.
      return transfer.length;
    case WSAESHUTDOWN:
      return 0;
    default:
      return LastErrorOf(transfer.fd);
  }
}

// What read(2) answers without room: nothing of a stream. Here recv would wait for bytes first.
Result ReadNothing(const Transfer& transfer) {
  int type = 0;
  int length = sizeof(type);
  char* into = reinterpret_cast<char*>(&type);
  if (getsockopt(transfer.fd, SOL_SOCKET, SO_TYPE, into, &length) != 0) return LastErrorOf(transfer.fd);
  return type == SOCK_STREAM ? 0 : Receive(transfer);
}

// (fd, buffer, offset, length) → count
Result Read(const Napi::CallbackInfo& info) {
  Transfer transfer;
  if (!GetTransfer(info, &transfer)) return Refused(kEINVAL);
  return transfer.length == 0 ? ReadNothing(transfer) : Receive(transfer);
}

// (fd, buffer, offset, length) → count
Result Write(const Napi::CallbackInfo& info) {
  Transfer transfer;
  if (!GetTransfer(info, &transfer)) return Refused(kEINVAL);
  return Verdict(transfer.fd, send(transfer.fd, transfer.bytes, transfer.length, 0));
}

// (fd, byte) → 1
Result SendUrgent(const Napi::CallbackInfo& info) {
  SOCKET fd;
  int value;
  if (!GetSocket(info, 0, &fd) || !GetInt(info, 1, &value) || value < 0 || value > UINT8_MAX) return Refused(kEINVAL);
  const char byte = static_cast<char>(value);
  return Verdict(fd, send(fd, &byte, sizeof(byte), MSG_OOB));
}

// (fd) → the byte
Result ReceiveUrgent(const Napi::CallbackInfo& info) {
  SOCKET fd;
  if (!GetSocket(info, 0, &fd)) return Refused(kEINVAL);
  uint8_t byte = 0;
  const int count = recv(fd, reinterpret_cast<char*>(&byte), sizeof(byte), MSG_OOB);
  if (count == SOCKET_ERROR) return LastErrorOf(fd);
  return count == 0 ? Refused(kEINVAL) : byte;
}

// () → how many handles the process has, of every kind
Result OpenHandles(const Napi::CallbackInfo&) {
  return HandlesOfProcess();
}

// () → how many threads the process has
Result OpenThreads(const Napi::CallbackInfo&) {
  return ThreadsOfProcess();
}

// The object ----------------------------------------------------------------------------------------------------------

template <Result (*Function)(const Napi::CallbackInfo&)>
Napi::Value Call(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(Function(info)));
}

template <Result (*Function)(const Napi::CallbackInfo&)>
void Define(Napi::Object io, const char* name) {
  io.Set(name, Napi::Function::New<Call<Function>>(io.Env(), name));
}

// Once for the process, and never undone: other threads may have sockets when one ends.
int StartWinsock() {
  WSADATA data;
  return WSAStartup(MAKEWORD(2, 2), &data);
}

}  // namespace

Napi::Object Io(Napi::Env env) {
  static const int failure = StartWinsock();
  Napi::Object io = Napi::Object::New(env);
  if (failure != 0) {
    Napi::Error::New(env, "Winsock 2.2 cannot be used: error " + std::to_string(failure)).ThrowAsJavaScriptException();
    return io;
  }
  Define<Unsupported>(io, "pipe");
  Define<SocketPair>(io, "socketpair");
  Define<Unsupported>(io, "eventfd");
  Define<Listen>(io, "listen");
  Define<LocalAddress>(io, "localAddress");
  Define<Accept>(io, "accept");
  Define<Connect>(io, "connect");
  Define<PendingError>(io, "pendingError");
  Define<Shutdown>(io, "shutdown");
  Define<SetNonBlocking>(io, "setNonBlocking");
  Define<Dup>(io, "dup");
  Define<Unsupported>(io, "dupOnto");
  Define<Close>(io, "close");
  Define<Read>(io, "read");
  Define<Write>(io, "write");
  Define<SendUrgent>(io, "sendUrgent");
  Define<ReceiveUrgent>(io, "receiveUrgent");
  Define<OpenHandles>(io, "openHandles");
  Define<OpenThreads>(io, "openThreads");
  // Handles go beyond the numbers that descriptors have elsewhere.
  io.Set("largestDescriptor", Napi::Number::New(env, 9007199254740991.0));
  return io;
}

}  // namespace lio

#endif
