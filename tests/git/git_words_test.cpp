// What git says in words, which nobody else looks at.
#include "daemon/git/git_words.h"

#include <doctest/doctest.h>

using namespace ralph;
using daemon::PushRefusal;

namespace {

PushRefusal refusal(const char* output, const char* errors) {
    daemon::ProgramEnd end;
    end.status = 1;
    end.output = output;
    end.errors = errors;
    return daemon::push_refusal(end);
}

}  // namespace

TEST_CASE("git's words: what passes by itself is recognised wherever it stands, before a banner too") {
    CHECK(daemon::fault_in("error: file write error: No space left on device\n" + std::string(5000, 'x')) ==
          core::Fault::passing);
    CHECK(daemon::fault_in("fatal: unable to fork") == core::Fault::passing);
    CHECK(daemon::fault_in("remote: Killed\n") == core::Fault::passing);
    CHECK(daemon::fault_in("CONFLICT (content): Killed in action.txt") == core::Fault::permanent);
    CHECK(daemon::fault_in("fatal: not a git repository") == core::Fault::permanent);
    CHECK(daemon::fault_in("") == core::Fault::permanent);
}

TEST_CASE("git's words: why a push came to nothing") {
    CHECK(refusal("!\tHEAD:refs/heads/main\t[remote rejected] (pre-receive hook declined)\n", "") ==
          PushRefusal::refused);
    CHECK(refusal("", "fatal: Authentication failed") == PushRefusal::shut_out);
    CHECK(refusal("", "error: failed to push some refs") == PushRefusal::shut_out);  // a hook on this side
    CHECK(refusal("!\tHEAD:refs/heads/main\t[remote rejected] (unpacker error)\n", "") ==
          PushRefusal::unpacked);
    CHECK(refusal("!\tx\t[remote rejected] (failed to update ref)\n", "") == PushRefusal::passing);
    CHECK(refusal("!\tx\t[remote rejected] (unpacker error)\n", "remote: No space left on device") ==
          PushRefusal::passing);
}
