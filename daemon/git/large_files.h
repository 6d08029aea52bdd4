// Large files that are not in git itself: git lfs keeps them in its folder lfs/objects, each as
// ab/cd/abcd… by the SHA-256 of its content (git-lfs, docs/spec.md).
#pragma once

#include "daemon/git/git.h"

namespace ralph::daemon {

// Whose word it is that a file has the content that its name says.
enum class LargeFilesOf {
    us,      // the user's, or copied by us before
    worker,  // nobody's: each is copied, and only kept if it is what it is called
};

// A smudge filter in `to` shall find those that only `from` has: they are copied there. No link is followed
// on either side. What cannot be brought over, the filter has to fetch. An error: a worker's could not be
// looked at.
[[nodiscard]] core::Result<void> bring_large_files(const Git& from, LargeFilesOf whose, const Git& to);

}  // namespace ralph::daemon
