// One settings file as the daemon hands it over: config itself reads no files.
#pragma once

#include <string>

namespace ralph::config {

struct Layer {
    std::string file;  // the name used in messages
    std::string text;
};

}  // namespace ralph::config
