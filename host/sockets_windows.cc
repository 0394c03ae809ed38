// Pairs of sockets, as far as Windows has them: made through 127.0.0.1, whose ports are anybody's to send to.

#if defined(_WIN32)

#include "sockets_windows.h"

#include <windows.h>

namespace lio {
namespace {

// How long a stranger that connects again and again may keep a pair from being made, in milliseconds.
constexpr ULONGLONG kPatience = 10'000;

// Binds to a port of 127.0.0.1 that the system chooses, and that nobody can share.
bool BindToLoopback(SOCKET fd, SocketAddress* address) {
  const BOOL on = TRUE;
  sockaddr_in loopback = {};
  loopback.sin_family = AF_INET;
  loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (setsockopt(fd, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, reinterpret_cast<const char*>(&on), sizeof(on)) != 0)
    return false;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&loopback), sizeof(loopback)) != 0) return false;
  return getsockname(fd, address->get(), &address->length) == 0;
}

enum class Awaited { kConnection, kConnected };

// Waits until a listener has a connection to accept, or until a socket is connected.
bool Await(SOCKET fd, Awaited what, ULONGLONG deadline) {
  const ULONGLONG now = GetTickCount64();
  const long left = now < deadline ? static_cast<long>(deadline - now) : 0;
  timeval timeout = {left / 1000, left % 1000 * 1000};
  fd_set ready, failed;
  FD_ZERO(&ready);
  FD_SET(fd, &ready);
  failed = ready;
  const bool reading = what == Awaited::kConnection;
  const int count = select(0, reading ? &ready : nullptr, reading ? nullptr : &ready, &failed, &timeout);
  if (count == 0) WSASetLastError(WSAETIMEDOUT);
  if (count <= 0) return false;
  if (!FD_ISSET(fd, &failed)) return true;
  int error = 0;
  int length = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&error), &length);
  WSASetLastError(error);
  return false;
}

// The connection from that address; those of strangers are closed.
SOCKET AcceptFrom(SOCKET listener, const SocketAddress& address, ULONGLONG deadline) {
  while (Await(listener, Awaited::kConnection, deadline)) {
    SocketAddress peer;
    Socket accepted(accept(listener, peer.get(), &peer.length));
    if (accepted.IsOpen() && peer == address) return accepted.Release();
    // A stranger may be gone before it was accepted. Whatever else fails would fail again.
    const int error = WSAGetLastError();
    if (!accepted.IsOpen() && error != WSAECONNRESET && error != WSAEWOULDBLOCK) break;
  }
  return INVALID_SOCKET;
}

// Unix sockets send at once, TCP would wait for more to send.
bool SendAtOnce(SOCKET fd) {
  const BOOL on = TRUE;
  return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&on), sizeof(on)) == 0;
}

// Drops the datagrams that are there.
void Drain(SOCKET fd) {
  char byte = 0;
  while (recv(fd, &byte, 1, 0) != SOCKET_ERROR || WSAGetLastError() == WSAEMSGSIZE) {
  }
}

}  // namespace

bool Prepare(SOCKET fd) {
  u_long on = 1;
  // Between accept and this, another thread may have started a child: accept cannot be told.
  if (!SetHandleInformation(reinterpret_cast<HANDLE>(fd), HANDLE_FLAG_INHERIT, 0)) return false;
  return ioctlsocket(fd, FIONBIO, &on) == 0;
}

SOCKET OpenSocket(int family, int type) {
  const DWORD flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
  Socket opened(WSASocketW(family, type, 0, nullptr, 0, flags));
  return opened.IsOpen() && Prepare(opened.get()) ? opened.Release() : INVALID_SOCKET;
}

bool ConnectTo(SOCKET fd, SocketAddress* address) {
  return connect(fd, address->get(), address->length) == 0 || WSAGetLastError() == WSAEWOULDBLOCK;
}

// Each has the other as its peer: one was connected to a listener whose port cannot be shared, the other accepted from
// the address that the first was bound to before.
bool OpenStreamPair(SOCKET pair[2]) {
  const ULONGLONG deadline = GetTickCount64() + kPatience;
  SocketAddress there, here;
  const Socket listener(OpenSocket(AF_INET, SOCK_STREAM));
  if (!listener.IsOpen() || !BindToLoopback(listener.get(), &there)) return false;
  if (listen(listener.get(), SOMAXCONN) != 0) return false;
  Socket near_end(OpenSocket(AF_INET, SOCK_STREAM));
  if (!near_end.IsOpen() || !BindToLoopback(near_end.get(), &here)) return false;
  if (!ConnectTo(near_end.get(), &there)) return false;

  Socket far_end(AcceptFrom(listener.get(), here, deadline));
  if (!far_end.IsOpen() || !Prepare(far_end.get())) return false;
  if (!Await(near_end.get(), Awaited::kConnected, deadline)) return false;
  if (!SendAtOnce(near_end.get()) || !SendAtOnce(far_end.get())) return false;
  pair[0] = near_end.Release();
  pair[1] = far_end.Release();
  return true;
}

bool OpenDatagramPair(SOCKET pair[2]) {
  SocketAddress addresses[2];
  Socket one(OpenSocket(AF_INET, SOCK_DGRAM));
  if (!one.IsOpen() || !BindToLoopback(one.get(), &addresses[0])) return false;
  Socket two(OpenSocket(AF_INET, SOCK_DGRAM));
  if (!two.IsOpen() || !BindToLoopback(two.get(), &addresses[1])) return false;
  if (!ConnectTo(one.get(), &addresses[1]) || !ConnectTo(two.get(), &addresses[0])) return false;
  // What strangers have sent before there was a peer.
  Drain(one.get());
  Drain(two.get());
  pair[0] = one.Release();
  pair[1] = two.Release();
  return true;
}

}  // namespace lio

#endif
