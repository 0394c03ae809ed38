// Closing the handle of AFD that a request was made on leaves the request alone on Windows: it still watches its
// socket. Wine ends the request. Who closes a poller must cancel first, and wait until the completions are there, on
// both.

#include "../afd.h"

using namespace afd;

int main() {
  Pair pair;
  Poll poll;
  static Request request;
  poll.Arm(request, pair.one, kReceive);
  poll.CloseAfd();
  Expect("no completion when the handle is closed", poll.Next(200) == nullptr);
  send(pair.two, "x", 1, 0);
  Expect("one when there is data", poll.Next(1000) == &request && request.info.events == kReceive);
  return Verdict();
}
