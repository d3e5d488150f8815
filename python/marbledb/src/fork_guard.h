// What a forked child may do with handles of its parent: nothing. The child has no background
// threads, perhaps a mutex that another thread of the parent held, and files that belong to the
// parent. So every handle remembers the generation it was made in, calls in a later one are
// refused, and destructors leak instead of running. Written by os.register_at_fork's hook, under
// the GIL.
#pragma once

#include <utility>

namespace marble_python {

inline int g_fork_generation = 0;

inline int ForkGeneration() { return g_fork_generation; }
inline void AfterForkInChild() { ++g_fork_generation; }

/// Gives up `handle` without running a destructor of what it owns.
template <typename T>
void Leak(T& handle) {
  new T(std::move(handle));  // raw new because: nothing may ever destroy it
}

}  // namespace marble_python
