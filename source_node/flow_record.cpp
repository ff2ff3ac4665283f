#include "source_node/flow_record.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>

namespace tempest::source_node {

namespace {

Error cannot(const std::string& what, const std::string& path) {
  return Error{ErrorCode::unavailable,
               "cannot " + what + " the flow record " + path + ": " + std::strerror(errno)};
}

}  // namespace

std::size_t FlowRecord::bucket_of(std::uint64_t nanoseconds) {
  const unsigned width = std::bit_width(nanoseconds);
  if (width <= kBucketBits) return nanoseconds;
  const unsigned shift = width - kBucketBits - 1;
  const std::size_t bucket = (std::size_t{shift} << kBucketBits) + (nanoseconds >> shift);
  return std::min(bucket, kBuckets - 1);
}

std::uint64_t FlowRecord::upper_bound_ns(std::size_t bucket) {
  if (bucket < (2ULL << kBucketBits)) return bucket;
  const std::size_t shift = (bucket >> kBucketBits) - 1;
  const std::uint64_t mantissa = bucket - (shift << kBucketBits);
  return ((mantissa + 1) << shift) - 1;
}

Result<FlowRecordFile> FlowRecordFile::map(const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_RDWR | O_CLOEXEC, 0644);
  if (descriptor < 0) return cannot("open", path);
  struct stat status {};
  const bool is_new = (flags & O_CREAT) != 0;
  const bool is_sized = is_new ? ::ftruncate(descriptor, sizeof(FlowRecord)) == 0
                               : ::fstat(descriptor, &status) == 0 &&
                                     static_cast<std::size_t>(status.st_size) >= sizeof(FlowRecord);
  void* memory = MAP_FAILED;
  if (is_sized) {
    memory = ::mmap(nullptr, sizeof(FlowRecord), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  ::close(descriptor);
  if (memory == MAP_FAILED) return cannot("map", path);
  FlowRecordFile file;
  auto* record = is_new ? new (memory) FlowRecord : static_cast<FlowRecord*>(memory);
  file.record_ = {record, [](FlowRecord* mapped) { ::munmap(mapped, sizeof(FlowRecord)); }};
  return file;
}

Result<FlowRecordFile> FlowRecordFile::create(const std::string& path) {
  return map(path, O_CREAT | O_TRUNC);
}

Result<FlowRecordFile> FlowRecordFile::open(const std::string& path) {
  auto file = map(path, 0);
  if (file && (*file)->magic != FlowRecord::kMagic) {
    return Error{ErrorCode::unavailable, path + " is no flow record"};
  }
  return file;
}

}  // namespace tempest::source_node
