// Asks the processor to bring a cache line nearer.
#pragma once

namespace marble {

/// Any address is allowed. The empty statement is there because gcc takes a function that does
/// nothing but prefetch for one without effect and removes the calls of it.
inline void PrefetchLine(const void* address) {
  __builtin_prefetch(address);
  asm volatile("");
}

}  // namespace marble
