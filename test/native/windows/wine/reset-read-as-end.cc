// A read after the peer's reset fails with WSAECONNRESET on Windows. In Wine it tells the end of the stream, because
// Wine has taken the socket's error by then, for itself.

#include "../afd.h"

using namespace afd;

int main() {
  Pair pair;
  Reset(pair.two);
  Sleep(50);
  char byte;
  const int count = recv(pair.one, &byte, 1, 0);
  Expect("a read after a reset fails", count == SOCKET_ERROR && WSAGetLastError() == WSAECONNRESET);
  return Verdict();
}
