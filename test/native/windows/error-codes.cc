// The table of host/errors_windows.cc: what it calls the three kinds of codes, and that it calls none by two names.

#include <cstdio>
#include <initializer_list>

#include "../../../host/errors_windows.cc"

int main() {
  using namespace lio;
  int wrong = 0;
  auto expect = [&wrong](uint32_t code, int number) {
    if (ErrorNumberOf(code) == number) return;
    std::printf("%#x is %d, not %d\n", static_cast<unsigned>(code), ErrorNumberOf(code), number);
    wrong++;
  };

  // The same failure, as each of the three tells it.
  for (uint32_t code : {uint32_t{ERROR_CONNECTION_REFUSED}, uint32_t{WSAECONNREFUSED},
                        static_cast<uint32_t>(STATUS_CONNECTION_REFUSED)}) {
    expect(code, kECONNREFUSED);
  }
  for (uint32_t code :
       {uint32_t{ERROR_INVALID_HANDLE}, uint32_t{WSAEBADF}, static_cast<uint32_t>(STATUS_INVALID_HANDLE)}) {
    expect(code, kEBADF);
  }
  expect(WSAEWOULDBLOCK, kEAGAIN);
  expect(WSAESHUTDOWN, kEPIPE);

  // What has no name stays itself, unless it would pass for one of Node's numbers.
  expect(WSAEUSERS, WSAEUSERS);
  expect(4083, kUNKNOWN);
  expect(static_cast<uint32_t>(STATUS_UNSUCCESSFUL), static_cast<int>(STATUS_UNSUCCESSFUL));

  for (const Code& one : kCodes) {
    for (const Code& other : kCodes) {
      if (&one == &other || one.code != other.code) continue;
      std::printf("%#x is there twice\n", static_cast<unsigned>(one.code));
      wrong++;
    }
  }
  std::printf("%d wrong\n", wrong);
  return wrong == 0 ? 0 : 1;
}
