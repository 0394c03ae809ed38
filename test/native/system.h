// What stands between the addon and the system in these tests: see system.cc.

#pragma once

#include <cstddef>
#include <set>

namespace test_system {

/// Who calls. Outside of a call all that goes to the system goes there unchanged: the fuzzer's own files, for one.
enum class Caller { kNobody, kKernel, kIo };

class Calling {
 public:
  explicit Calling(Caller caller);
  ~Calling();
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;

 private:
  Caller before_;
};

/// How many system calls the addon has made.
size_t Calls();

/// Lets the system call that comes after so many others fail, with this number. Instead of ENOMEM's own meaning, the
/// next allocation that may fail fails too.
void FailAfter(unsigned calls, int number);
void FailNoMore();
bool MayFail();

/// For what stands in for a system call, elsewhere: counts it; true, with `errno` set, if it is to fail.
bool Fails();
/// The same, of a descriptor that it has opened.
int Opened(int descriptor);

/// Descriptors that kernels have opened and not closed, and those that the program may use.
const std::set<int>& Held();
const std::set<int>& Given();

/// Gives a descriptor to the program, which closes it with `Take`.
void Give(int descriptor);
void TakeAll();

}  // namespace test_system
