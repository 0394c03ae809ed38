// Programs of a hostile component, as bytes: what fuzz.cc carries out, and what a fuzzer changes.
//
// Every sequence of bytes is a program. What is missing at its end reads as 0.

#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

/// One step. The comments name what follows it.
enum class Action : uint8_t {
  /// A function's number, how many arguments are left out or added, its arguments.
  kCall,
  /// A place, a word to put there.
  kPoke,
  /// A place, the number of a descriptor that the program has.
  kPokeDescriptor,
  /// An `Allocator`, a word.
  kAllocator,
  /// How many bytes the memory grows by.
  kGrow,
  kDetach,
  /// A size for a new memory, to which functions that are bound from now on belong.
  kMemory,
  kOpenKernel,
  kCloseKernel,
  /// A helper's number, how many arguments, the arguments.
  kIo,
  /// One argument.
  kNotify,
  /// After how many system calls one fails; with which error.
  kFail,
  /// What kind of descriptor to open.
  kOpen,
  /// A function's number, an argument in place of the memory, one in place of the allocator.
  kBind,
  kCount,
};

/// One argument.
enum class Argument : uint8_t {
  kByte,
  kWord,
  /// A byte: the memory's size less that.
  kFromEnd,
  /// The number of a descriptor that the program has.
  kDescriptor,
  /// Eight bytes, as a BigInt.
  kBig,
  /// A place of memory, whose content is taken.
  kLoad,
  /// A word that is interesting, by its number.
  kEdge,
  /// What is no integer, by its number.
  kOdd,
  /// Bytes to lend: of which type, where, how many.
  kTyped,
  /// A text, by its length and bytes.
  kText,
  kCount,
};

/// How the component's allocator behaves.
enum class Allocator : uint8_t {
  /// Answers the word.
  kAnswers,
  /// The same, after growing memory.
  kGrows,
  kDetaches,
  kThrows,
  /// Answers what is no number.
  kAnswersOddly,
  /// Closes all that the kernel holds, and answers the word.
  kCloses,
  /// Calls the function again, and answers the word.
  kReenters,
  /// Puts something that is no buffer in the memory's place.
  kReplaces,
  kCount,
};

/// Writes a program.
class Program {
 public:
  Program& Byte(uint8_t byte) {
    bytes_.push_back(byte);
    return *this;
  }

  Program& Word(uint32_t word) {
    for (int shift = 0; shift < 32; shift += 8) Byte(static_cast<uint8_t>(word >> shift));
    return *this;
  }

  Program& Do(Action action) { return Byte(static_cast<uint8_t>(action)); }

  Program& Memory(uint32_t size) { return Do(Action::kMemory).Word(size); }

  Program& Poke(uint32_t place, uint32_t word) { return Do(Action::kPoke).Word(place).Word(word); }

  Program& PokeDescriptor(uint32_t place, uint8_t which) { return Do(Action::kPokeDescriptor).Word(place).Byte(which); }

  Program& Allocate(Allocator how, uint32_t word) {
    return Do(Action::kAllocator).Byte(static_cast<uint8_t>(how)).Word(word);
  }

  Program& Open(uint8_t kind) { return Do(Action::kOpen).Byte(kind); }

  Program& Fail(uint8_t after, uint8_t number) { return Do(Action::kFail).Byte(after).Byte(number); }

  /// Starts a call with as many arguments as the function has. They follow.
  Program& Call(uint8_t function) { return Do(Action::kCall).Byte(function).Byte(0); }

  Program& Io(uint8_t function, uint8_t arguments) { return Do(Action::kIo).Byte(function).Byte(arguments); }

  Program& Small(uint8_t number) { return Start(Argument::kByte).Byte(number); }
  Program& Number(uint32_t number) { return Start(Argument::kWord).Word(number); }
  Program& Descriptor(uint8_t which) { return Start(Argument::kDescriptor).Byte(which); }
  Program& Load(uint32_t place) { return Start(Argument::kLoad).Word(place); }
  Program& Odd(uint8_t which) { return Start(Argument::kOdd).Byte(which); }
  Program& Big(uint64_t number) {
    return Start(Argument::kBig).Word(static_cast<uint32_t>(number)).Word(static_cast<uint32_t>(number >> 32));
  }
  Program& Typed(uint8_t type, uint8_t length) { return Start(Argument::kTyped).Byte(type).Byte(0).Byte(length); }
  Program& Text(const char* text) {
    uint8_t length = 0;
    while (text[length] != '\0') length++;
    Start(Argument::kText).Byte(length);
    for (; *text != '\0'; text++) Byte(static_cast<uint8_t>(*text));
    return *this;
  }

  const std::vector<uint8_t>& Bytes() const { return bytes_; }

 private:
  Program& Start(Argument kind) { return Byte(static_cast<uint8_t>(kind)); }

  std::vector<uint8_t> bytes_;
};
