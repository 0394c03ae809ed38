// Windows tells at once that the peer will send no more. Wine tells it only when all that came before has been read.

#include "../afd.h"

using namespace afd;

int main() {
  Pair pair;
  Poll poll;
  send(pair.two, "data", 4, 0);
  shutdown(pair.two, SD_SEND);
  Sleep(50);
  Expect("an end behind unread data", poll.Ask(pair.one, kReceive | kDisconnect), kReceive | kDisconnect);
  return Verdict();
}
