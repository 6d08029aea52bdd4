// Notes of what was seen expired (core/base/expiry.h), as if they had been made long ago, in another boot.
#pragma once

#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "daemon/store/paths.h"

namespace ralph::tests {

inline void age_notes(const daemon::Paths& paths, const std::string& kind) {
    const std::string path = paths.parallel() + "/expired-" + kind + ".json";
    std::ifstream in(path);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    in.close();
    std::ofstream(path) << std::regex_replace(text, std::regex("\": \"[^\"]*\""),
                                              "\": \"2001-02-01T00:00:00Z\"");
}

}  // namespace ralph::tests
