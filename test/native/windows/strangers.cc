// The pairs of host/sockets_windows.cc, while strangers use the ports that everybody can reach: what JavaScript could
// only hope to hit.

#include <cstdio>
#include <cstring>
#include <initializer_list>

#include "../../../host/sockets_windows.cc"

namespace lio {
namespace {

int wrong = 0;

void Expect(bool so, const char* what) {
  if (so) return;
  std::printf("not so: %s (error %d)\n", what, WSAGetLastError());
  wrong++;
}

ULONGLONG Soon() {
  return GetTickCount64() + 5'000;
}

// Strangers come before and after the one that is expected.
void ConnectionsOfStrangersAreClosed() {
  SocketAddress there, here;
  const Socket listener(OpenSocket(AF_INET, SOCK_STREAM));
  Expect(BindToLoopback(listener.get(), &there) && listen(listener.get(), 8) == 0, "a listener");
  const Socket before(OpenSocket(AF_INET, SOCK_STREAM));
  const Socket expected(OpenSocket(AF_INET, SOCK_STREAM));
  const Socket after(OpenSocket(AF_INET, SOCK_STREAM));
  Expect(BindToLoopback(expected.get(), &here), "an address");
  for (const Socket* socket : {&before, &expected, &after}) {
    Expect(ConnectTo(socket->get(), &there), "a connect");
    Expect(Await(socket->get(), Awaited::kConnected, Soon()), "a connection");
  }

  const Socket accepted(AcceptFrom(listener.get(), here, Soon()));
  Expect(accepted.IsOpen(), "the expected one is accepted");
  SocketAddress peer;
  Expect(getpeername(accepted.get(), peer.get(), &peer.length) == 0 && peer == here, "it is the expected one");
  char byte;
  Expect(Await(before.get(), Awaited::kConnection, Soon()), "the one before it hears something");
  Expect(recv(before.get(), &byte, 1, 0) <= 0, "it is the end");
}

void NobodyIsNotWaitedForForEver() {
  SocketAddress there, here;
  const Socket listener(OpenSocket(AF_INET, SOCK_STREAM));
  Expect(BindToLoopback(listener.get(), &there) && listen(listener.get(), 8) == 0, "a listener");
  const Socket stranger(OpenSocket(AF_INET, SOCK_STREAM));
  Expect(ConnectTo(stranger.get(), &there), "a connect");
  const Socket absent(OpenSocket(AF_INET, SOCK_STREAM));
  Expect(BindToLoopback(absent.get(), &here), "an address");
  Expect(AcceptFrom(listener.get(), here, GetTickCount64() + 100) == INVALID_SOCKET, "nobody is accepted");
  Expect(WSAGetLastError() == WSAETIMEDOUT, "the time was over");
}

void APortCannotBeShared() {
  SocketAddress there;
  const Socket listener(OpenSocket(AF_INET, SOCK_STREAM));
  Expect(BindToLoopback(listener.get(), &there), "an address");
  const Socket thief(OpenSocket(AF_INET, SOCK_STREAM));
  const BOOL on = TRUE;
  setsockopt(thief.get(), SOL_SOCKET, SO_REUSEADDR, reinterpret_cast<const char*>(&on), sizeof(on));
  Expect(bind(thief.get(), there.get(), there.length) != 0, "a second socket is refused");
}

void DatagramsOfStrangersAreDropped() {
  SocketAddress here, there;
  const Socket socket(OpenSocket(AF_INET, SOCK_DGRAM));
  Expect(BindToLoopback(socket.get(), &here), "an address");
  const Socket stranger(OpenSocket(AF_INET, SOCK_DGRAM));
  for (const char* text : {"", "a", "stranger"}) {
    const int length = static_cast<int>(std::strlen(text));
    Expect(sendto(stranger.get(), text, length, 0, here.get(), here.length) == length, "a datagram");
  }
  const Socket friendly(OpenSocket(AF_INET, SOCK_DGRAM));
  Expect(BindToLoopback(friendly.get(), &there) && ConnectTo(socket.get(), &there), "a peer");
  Sleep(20);
  Drain(socket.get());
  char byte;
  Expect(recv(socket.get(), &byte, 1, 0) == SOCKET_ERROR && WSAGetLastError() == WSAEWOULDBLOCK, "nothing is there");
}

void PairsAreConnected() {
  for (int turn = 0; turn < 100; turn++) {
    for (bool (*open)(SOCKET[2]) : {OpenStreamPair, OpenDatagramPair}) {
      SOCKET pair[2];
      Expect(open(pair), "a pair");
      const Socket one(pair[0]), two(pair[1]);
      SocketAddress near_end, far_end;
      getsockname(one.get(), near_end.get(), &near_end.length);
      getpeername(two.get(), far_end.get(), &far_end.length);
      Expect(near_end == far_end, "its ends are each other's peers");
    }
  }
}

}  // namespace
}  // namespace lio

int main() {
  WSADATA data;
  if (WSAStartup(MAKEWORD(2, 2), &data) != 0) return 2;
  lio::ConnectionsOfStrangersAreClosed();
  lio::NobodyIsNotWaitedForForEver();
  lio::APortCannotBeShared();
  lio::DatagramsOfStrangersAreDropped();
  lio::PairsAreConnected();
  std::printf("%d wrong\n", lio::wrong);
  return lio::wrong == 0 ? 0 : 1;
}
