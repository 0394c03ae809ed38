// What a kernel's functions take, in the terms of the canonical ABI: enough to tell a call that must be refused from
// one that must not. One file per kernel, under kernels/.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "program.h"

struct Parameter {
  enum Meaning {
    /// A number that may be anything.
    kNumber,
    /// The same, as an i64.
    kLong,
    /// A descriptor, in records and arguments alike.
    kDescriptor,
    /// Where a result of so many bytes goes.
    kArea,
    /// Where a list starts whose elements have so many bytes; its length is the next argument.
    kList,
  };
  Meaning meaning;
  uint32_t bytes = 0;
  uint32_t alignment = 4;
};

struct Shape {
  std::string name;
  std::vector<Parameter> parameters;
};

struct KernelShape {
  std::string name;
  std::vector<Shape> functions;
  /// Valid programs, from which the fuzzer starts.
  std::vector<Program> seeds;
};

/// The kernels that there is a file for.
std::vector<KernelShape>& KernelShapes();

/// A file under kernels/ makes one of these.
struct Describes {
  explicit Describes(KernelShape shape) { KernelShapes().push_back(std::move(shape)); }
};
