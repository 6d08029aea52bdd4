#include "core/agents/json_path.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

namespace ralph::core {
namespace json = boost::json;

std::vector<const json::value*> values_at(const json::value& root, std::string_view path) {
    std::vector<const json::value*> found;
    if (path.empty()) {
        return found;
    }
    found.push_back(&root);
    while (!path.empty()) {
        path.remove_prefix(1);  // the slash
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(name.size());
        std::vector<const json::value*> next;
        for (const json::value* const value : found) {
            if (const json::object* const object = value->if_object()) {
                if (const json::value* const member = object->if_contains(name)) {
                    next.push_back(member);
                } else if (name == "*") {
                    for (const auto& each : *object) {
                        next.push_back(&each.value());
                    }
                }
            } else if (const json::array* const array = value->if_array(); array != nullptr && name == "*") {
                for (const json::value& each : *array) {
                    next.push_back(&each);
                }
            }
        }
        found = std::move(next);
    }
    return found;
}

std::string scalar_text(const json::value& value) {
    if (const json::string* const text = value.if_string()) {
        return std::string(*text);
    }
    return value.is_null() || value.is_structured() ? std::string{} : json::serialize(value);
}

}  // namespace ralph::core
