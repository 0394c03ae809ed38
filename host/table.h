// What a component instance holds, by handle: a component can name only what it was given.

#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace lio {

/// Values by handle. A handle that was given back is given out again, and finding one takes no search: the free places
/// are a list that runs through them.
template <typename T>
class Table {
 public:
  /// Null for a handle that is not given out.
  T* Find(uint32_t handle) {
    return handle < places_.size() && places_[handle].value ? &*places_[handle].value : nullptr;
  }
  const T* Find(uint32_t handle) const { return const_cast<Table*>(this)->Find(handle); }

  uint32_t Insert(T value) {
    if (first_free_ == kNone) {
      places_.push_back({std::move(value), kNone});
      return Size() - 1;
    }
    const uint32_t handle = first_free_;
    first_free_ = places_[handle].next_free;
    places_[handle].value = std::move(value);
    return handle;
  }

  /// Gives a handle back, with what it was for; empty if it is not given out.
  std::optional<T> Take(uint32_t handle) {
    if (Find(handle) == nullptr) return std::nullopt;
    std::optional<T> value = std::exchange(places_[handle].value, std::nullopt);
    places_[handle].next_free = std::exchange(first_free_, handle);
    return value;
  }

  /// Above every handle that was ever given out.
  uint32_t Size() const { return static_cast<uint32_t>(places_.size()); }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Place {
    /// Empty if the place is free.
    std::optional<T> value;
    /// The next free place, if this one is.
    uint32_t next_free;
  };

  std::vector<Place> places_;
  uint32_t first_free_ = kNone;
};

}  // namespace lio
