// Sockets of Windows, as `lio-poller/io` opens them: non-blocking, and not left to child processes.
//
// What fails here says why by WSAGetLastError.

#pragma once

#include <winsock2.h>

namespace lio {

/// A socket that closes with its scope, unless it is released.
class Socket {
 public:
  explicit Socket(SOCKET fd) : fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ == INVALID_SOCKET) return;
    const int error = WSAGetLastError();
    closesocket(fd_);
    WSASetLastError(error);
  }

  SOCKET get() const { return fd_; }
  bool IsOpen() const { return fd_ != INVALID_SOCKET; }

  SOCKET Release() {
    const SOCKET fd = fd_;
    fd_ = INVALID_SOCKET;
    return fd;
  }

 private:
  SOCKET fd_;
};

struct SocketAddress {
  sockaddr_storage storage = {};
  int length = sizeof(storage);

  int family() const { return storage.ss_family; }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }

  /// Of two IPv4 addresses. What lies beside port and host means nothing.
  bool operator==(const SocketAddress& other) const {
    const auto* one = reinterpret_cast<const sockaddr_in*>(&storage);
    const auto* two = reinterpret_cast<const sockaddr_in*>(&other.storage);
    return one->sin_port == two->sin_port && one->sin_addr.s_addr == two->sin_addr.s_addr;
  }
};

/// INVALID_SOCKET if it fails.
SOCKET OpenSocket(int family, int type);

/// Makes what accept has opened like what OpenSocket opens.
bool Prepare(SOCKET fd);

/// Starts to connect; true also while that goes on.
bool ConnectTo(SOCKET fd, SocketAddress* address);

/// Two TCP sockets of 127.0.0.1 that are connected to each other, and to nobody else. Never blocks for long: both ends
/// are here.
bool OpenStreamPair(SOCKET pair[2]);

/// Two UDP sockets of 127.0.0.1 that hear nobody but each other.
bool OpenDatagramPair(SOCKET pair[2]);

}  // namespace lio
