#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/core/result.h"
#include "sim/study/study.h"

namespace coalmine::study {

/// A part of a study as a file: everything that reports are made of, exactly, so that parts
/// played on different machines give the bytes of a run that was never split.
std::string write_shard(const StudyResult& part);
/// Errors (Invalid): not JSON, not a shard of this version, impossible numbers.
Result<StudyResult> read_shard(std::string_view text, const std::string& source);

struct NamedShard {
  std::string source;  ///< file name, for errors
  StudyResult part;
};
/// The whole study. Errors name the file that does not fit: parts of different studies, a part
/// given twice, parts that are missing.
Result<StudyResult> merge(std::vector<NamedShard> parts);

}  // namespace coalmine::study
