// The JSONC parser itself: canonical text is read back as the same text, and every value can be pointed at.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "tests/fuzz/fuzz.h"

using namespace ralph;
namespace json = boost::json;

namespace {

constexpr const char* file = "file.jsonc";

// Looking for a position parses the text again, so not every value of a large document is asked for.
void point_at(const core::JsonDocument& document, const json::value& value, const std::string& path,
              int& left) {
    if (left-- <= 0) {
        return;
    }
    fuzz::check_error(document.error_at(path, "is wrong"), std::string(file) + ":");
    if (const json::array* const array = value.if_array()) {
        for (std::size_t i = 0; i < array->size() && left > 0; ++i) {
            point_at(document, (*array)[i], fmt::format("{}[{}]", path, i), left);
        }
    } else if (const json::object* const object = value.if_object()) {
        for (const auto& [key, element] : *object) {
            point_at(document, element,
                     path.empty() ? std::string(key) : fmt::format("{}.{}", path, std::string_view(key)),
                     left);
        }
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text = fuzz::text_of(data, size);
    const auto document = fuzz::parse(text, file);
    auto strict = core::JsonDocument::parse(text, file, core::DuplicateKeys::refuse);
    CHECK(document || !strict);
    if (!strict) {
        fuzz::check_error(strict.error(), file);
    }
    if (!document) {
        return 0;
    }
    const std::string canonical = core::canonical_json(document->root());
    CHECK(!strict || core::canonical_json(strict->root()) == canonical);
    // Nobody has to be tolerant to read what we write.
    const auto again = core::JsonDocument::parse(canonical, file, core::DuplicateKeys::refuse);
    CHECK(again.has_value());
    CHECK(core::canonical_json(again->root()) == canonical);
    int left = 40;
    point_at(*document, document->root(), "", left);
    return 0;
}
