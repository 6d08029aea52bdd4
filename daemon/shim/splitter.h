// Text taken apart without copying it.
#pragma once

#include <string_view>

namespace ralph::shim {

// The words of a line, or the lines of a text.
class Splitter {
  public:
    Splitter(std::string_view text, char separator) : rest_(text), separator_(separator) {}
    [[nodiscard]] bool next(std::string_view& piece) {
        if (rest_.empty()) {
            return false;
        }
        const std::size_t end = rest_.find(separator_);
        piece = rest_.substr(0, end);
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        return true;
    }

  private:
    std::string_view rest_;
    char separator_;
};

}  // namespace ralph::shim
