// What AFD answers, as far as the poller relies on it: the same on Windows and in Wine. What differs is in wine/.

#include "afd.h"

#include <initializer_list>

using namespace afd;

namespace {

// Asked again, a state that lasts is told again: requests are level-triggered.
void Readiness(Poll& poll) {
  Pair pair;
  char buffer[16];
  Expect("a connection can be written to", poll.Ask(pair.one, kAll), kSend);
  Expect("nothing to read does not complete", !poll.Ask(pair.one, kReceive, 50).came);
  send(pair.two, "data", 4, 0);
  Expect("data is told", poll.Ask(pair.one, kReceive), kReceive);
  Expect("data is told again", poll.Ask(pair.one, kAll), kReceive | kSend);
  recv(pair.one, buffer, sizeof(buffer), 0);
  Expect("data that was read is not told", !poll.Ask(pair.one, kReceive, 50).came);
  shutdown(pair.two, SD_SEND);
  Expect("an end is told", poll.Ask(pair.one, kReceive | kDisconnect), kDisconnect);
  Expect("an end is told beside room", poll.Ask(pair.one, kAll), kDisconnect | kSend);
  closesocket(pair.one);
  closesocket(pair.two);
}

void Room(Poll& poll) {
  static char block[1 << 20];
  Pair pair;
  SetNonBlocking(pair.one);
  SetNonBlocking(pair.two);
  while (send(pair.one, block, sizeof(block), 0) > 0) {
  }
  Expect("no room does not complete", !poll.Ask(pair.one, kSend, 50).came);
  Request request;
  poll.Arm(request, pair.one, kSend);
  Request* next = nullptr;
  for (int turn = 0; turn < 500 && next == nullptr; turn++) {
    while (recv(pair.two, block, sizeof(block), 0) > 0) {
    }
    next = poll.Next(10);
  }
  Expect("room is told when it is there", next == &request && request.info.events == kSend);
  closesocket(pair.one);
  closesocket(pair.two);
}

void Resets(Poll& poll) {
  Pair armed, late;
  Request request;
  poll.Arm(request, armed.one, kReceive | kAbort);
  Reset(armed.two);
  Expect("a reset completes", poll.Next(1000) == &request && request.info.events == kAbort);
  Reset(late.two);
  Expect("a reset is told later", poll.Ask(late.one, kReceive | kAbort | kConnectFail), kAbort);
  closesocket(armed.one);
  closesocket(late.one);
}

void Urgent(Poll& poll) {
  Pair pair;
  char byte;
  send(pair.two, "u", 1, MSG_OOB);
  Expect("urgent data is told", poll.Ask(pair.one, kExpedited), kExpedited);
  recv(pair.one, &byte, 1, MSG_OOB);
  Expect("urgent data that was read is not", !poll.Ask(pair.one, kExpedited, 50).came);
  closesocket(pair.one);
  closesocket(pair.two);
}

void Closing(Poll& poll) {
  Pair pair;
  Request request;
  poll.Arm(request, pair.one, 0);
  closesocket(pair.one);
  Expect("a close is told to who asks for nothing", poll.Next(1000) == &request && request.info.events == kLocalClose);
  Expect("what is closed is refused", poll.Ask(pair.one, kAll).status == static_cast<NTSTATUS>(0xC0000008));
  closesocket(pair.two);
}

// The request holds on to what was polled, not to its number.
void ClosingOneOfTwo(Poll& poll) {
  Pair pair;
  WSAPROTOCOL_INFOW shared;
  WSADuplicateSocketW(pair.one, GetCurrentProcessId(), &shared);
  const int any = FROM_PROTOCOL_INFO;
  const SOCKET duplicate = WSASocketW(any, any, any, &shared, 0, WSA_FLAG_OVERLAPPED);
  Request request;
  poll.Arm(request, pair.one, kReceive);
  closesocket(pair.one);
  Expect("a close is not told while there is a duplicate", poll.Next(50) == nullptr);
  send(pair.two, "x", 1, 0);
  Expect("data is", poll.Next(1000) == &request && request.info.events == kReceive);
  poll.Arm(request, duplicate, 0);
  closesocket(duplicate);
  Expect("the last close is told", poll.Next(1000) == &request && request.info.events == kLocalClose);
  closesocket(pair.two);
}

void Connecting(Poll& poll) {
  const SOCKET listener = Bound(SOCK_STREAM);
  listen(listener, 4);
  Expect("nobody to accept does not complete", !poll.Ask(listener, kAll, 50).came);
  const SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
  Expect("what is not connected does not complete", !poll.Ask(client, kAll, 50).came);
  Connect(client, AddressOf(listener));
  Expect("a connection to accept is told", poll.Ask(listener, kAll), kAccept);
  const sockaddr_in address = AddressOf(listener);
  closesocket(client);
  closesocket(listener);

  const SOCKET refused = socket(AF_INET, SOCK_STREAM, 0);
  SetNonBlocking(refused);
  Connect(refused, address);
  // Windows tries for two seconds.
  const Answer answer = poll.Ask(refused, kSend | kConnectFail, 10'000);
  Expect("a refusal is told", answer, kConnectFail);
  Expect("with the reason", answer.socket_status == static_cast<NTSTATUS>(0xC0000236));
  closesocket(refused);
}

void Datagrams(Poll& poll) {
  const SOCKET receiver = Bound(SOCK_DGRAM), sender = Bound(SOCK_DGRAM);
  Expect("a datagram socket can be written to", poll.Ask(receiver, kAll), kSend);
  Connect(sender, AddressOf(receiver));
  send(sender, "x", 1, 0);
  Expect("a datagram is told", poll.Ask(receiver, kReceive), kReceive);
  closesocket(receiver);
  closesocket(sender);
}

void Cancelling(Poll& poll) {
  Pair pair;
  Request request;
  poll.Arm(request, pair.one, kReceive);
  Expect("a request can be cancelled", poll.Cancel(request) == 0);
  Expect("it completes", poll.Next(1000) == &request && request.block.Status == kCancelled);
  Expect("only once", poll.Cancel(request) == static_cast<NTSTATUS>(0xC0000225) && poll.Next(20) == nullptr);
  closesocket(pair.one);
  closesocket(pair.two);
}

void NoSockets(Poll& poll) {
  const HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  const Answer answer = poll.Ask(reinterpret_cast<SOCKET>(event), kAll, 50);
  Expect("what is no socket is refused", !answer.came && answer.status < 0);
  CloseHandle(event);
}

}  // namespace

int main() {
  Start();
  Poll poll;
  for (void (*fact)(Poll&) :
       {Readiness, Room, Resets, Urgent, Closing, ClosingOneOfTwo, Connecting, Datagrams, Cancelling, NoSockets}) {
    fact(poll);
  }
  return Verdict();
}
