// Windows clears SO_ERROR when it is read. Wine tells the same error of a failed connect again.

#include "../afd.h"

using namespace afd;

namespace {

int PendingError(SOCKET socket) {
  int error = -1;
  int length = sizeof(error);
  getsockopt(socket, SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&error), &length);
  return error;
}

}  // namespace

int main() {
  // Bound and not listening: nobody else gets its port, and nobody answers there.
  const SOCKET silent = Bound(SOCK_STREAM);
  const SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
  SetNonBlocking(client);
  Connect(client, AddressOf(silent));
  Poll poll;
  Expect("a refused connection", poll.Ask(client, kConnectFail, 5000), kConnectFail);
  Expect("its error is told", PendingError(client) == WSAECONNREFUSED);
  Expect("its error is told once", PendingError(client) == 0);
  return Verdict();
}
