// Values inside a JSON document, by a path that may stand for several of them.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ralph::core {

// "/message/content/*/text": members by name, where * stands for every item of an array or every member of an
// object. Nothing where the path leads nowhere, or is empty. The values are those of `root`.
[[nodiscard]] std::vector<const boost::json::value*> values_at(const boost::json::value& root,
                                                               std::string_view path);

// Text as it is, numbers and words as JSON writes them; empty for null, arrays and objects.
[[nodiscard]] std::string scalar_text(const boost::json::value& value);

}  // namespace ralph::core
