// SIO_BASE_HANDLE of what is no socket is refused by Windows with WSAENOTSOCK, and granted by Wine.

#include "../afd.h"

using namespace afd;

int main() {
  Start();
  const HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  constexpr DWORD kBaseHandle = 0x48000022;
  HANDLE base = nullptr;
  DWORD count;
  const int result =
      WSAIoctl(reinterpret_cast<SOCKET>(event), kBaseHandle, nullptr, 0, &base, sizeof(base), &count, nullptr, nullptr);
  Expect("an event has no base handle", result == SOCKET_ERROR && WSAGetLastError() == WSAENOTSOCK);
  return Verdict();
}
