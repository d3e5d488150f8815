// What the operating system knows of this process and this machine.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace marble::benchmark {

struct Memory {
  int64_t anonymous_bytes = 0;
  int64_t mapped_bytes = 0;  // of files, resident
};
Memory MemoryOfThisProcess();

/// Bytes that this process has handed to the kernel for writing, and bytes of it (and of maps it
/// wrote to) that went or will go to the disk.
struct WrittenBytes {
  int64_t calls = 0;
  int64_t disk = 0;
};
WrittenBytes WrittenByThisProcess();

/// Returns when this process, quiet but for background threads, has written nothing for a while.
/// Gives the seconds since the last write, which are not part of anybody's work.
double WaitUntilNothingIsWritten();

/// Blocks allocated on disk under a directory; a hole in a file counts nothing.
int64_t BytesOnDisk(const std::string& directory);

/// Drops the files under a directory from the page cache, after writing them to the disk.
void DropFromPageCache(const std::string& directory);

/// Processes that ran or wanted to, on average over 1, 5 and 15 minutes.
std::string LoadOfMachine();

/// Processor, cores, memory, kernel, file system of a directory, as names and texts.
std::vector<std::pair<std::string, std::string>> DescribeMachine(const std::string& directory);

}  // namespace marble::benchmark
