#include "core/base/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <limits>
#include <numeric>
#include <utility>

namespace ralph::core {
namespace json = boost::json;

ObjectReader::ObjectReader(const json::value& value, std::string path, std::optional<JsonFault>& fault)
    : object_(value.if_object()), path_(std::move(path)), fault_(fault) {
    if (object_ == nullptr && !fault_) {
        fault_ = JsonFault{path_, "must be an object"};
    }
}

const json::value* ObjectReader::find(std::string_view key) {
    ignore(key);
    return fault_ ? nullptr : object_->if_contains(key);
}

void ObjectReader::ignore(std::string_view key) {
    known_.emplace_back(key);
}

std::vector<std::string> ObjectReader::keys() const {
    std::vector<std::string> names;
    if (!fault_) {
        for (const auto& element : *object_) {
            names.emplace_back(element.key());
        }
    }
    return names;
}

void ObjectReader::require_version(std::uint32_t newest) {
    std::uint32_t version = 0;
    require("version", version);
    if (ok() && (version == 0 || version > newest)) {
        fail("version", fmt::format("is {}, and this ralph knows versions 1 to {}; install the ralph that "
                                    "wrote it, or a newer one",
                                    version, newest));
    }
}

std::string ObjectReader::path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void ObjectReader::fail(std::string_view key, std::string message) {
    if (!fault_) {
        fault_ = JsonFault{key.empty() ? path_ : path_of(key), std::move(message)};
    }
}

const json::value* ObjectReader::find_not_null(std::string_view key) {
    const json::value* value = find(key);
    return value != nullptr && value->is_null() ? nullptr : value;
}

void ObjectReader::read_text(std::string_view key, std::optional<std::string>& out) {
    const json::value* value = find(key);
    if (value == nullptr) {
        return;
    }
    if (const json::string* text = value->if_string()) {
        out = std::string(text->data(), text->size());
    } else {
        fail(key, "must be a string");
    }
}

template <class T>
void ObjectReader::read_unsigned(std::string_view key, T& out) {
    const json::value* value = find(key);
    if (value == nullptr) {
        return;
    }
    boost::system::error_code not_exact;
    const bool whole = value->is_int64() || value->is_uint64();
    const T number = whole ? value->to_number<T>(not_exact) : T{};
    if (!whole || not_exact) {
        fail(key, fmt::format("must be a whole number from 0 to {}", std::numeric_limits<T>::max()));
        return;
    }
    out = number;
}

void ObjectReader::read(std::string_view key, std::string& out) {
    std::optional<std::string> text;
    read_text(key, text);
    if (text) {
        out = std::move(*text);
    }
}

void ObjectReader::read(std::string_view key, bool& out) {
    if (const json::value* value = find(key)) {
        if (value->is_bool()) {
            out = value->get_bool();
        } else {
            fail(key, "must be true or false");
        }
    }
}

void ObjectReader::read(std::string_view key, std::uint32_t& out) {
    read_unsigned(key, out);
}
void ObjectReader::read(std::string_view key, std::uint64_t& out) {
    read_unsigned(key, out);
}

void ObjectReader::read(std::string_view key, std::vector<std::string>& out) {
    const json::value* value = find(key);
    if (value == nullptr) {
        return;
    }
    const json::array* array = value->if_array();
    if (array == nullptr) {
        fail(key, "must be an array of strings");
        return;
    }
    std::vector<std::string> items;
    items.reserve(array->size());
    for (const json::value& element : *array) {
        const json::string* text = element.if_string();
        if (text == nullptr) {
            fail(fmt::format("{}[{}]", key, items.size()), "must be a string");
            return;
        }
        items.emplace_back(text->data(), text->size());
    }
    out = std::move(items);
}

void ObjectReader::read(std::string_view key, std::optional<std::string>& out) {
    if (find_not_null(key) != nullptr) {
        read_text(key, out);
    }
}

void ObjectReader::read(std::string_view key, std::optional<std::uint32_t>& out) {
    if (find_not_null(key) != nullptr) {
        std::uint32_t number = 0;
        read(key, number);
        if (ok()) {
            out = number;
        }
    }
}

void ObjectReader::read(std::string_view key, std::optional<bool>& out) {
    if (find_not_null(key) != nullptr) {
        bool flag = false;
        read(key, flag);
        if (ok()) {
            out = flag;
        }
    }
}

void ObjectReader::require(std::string_view key) {
    if (ok() && find(key) == nullptr) {
        fail("", fmt::format("lacks the key \"{}\"", key));
    }
}

void ObjectReader::require(std::string_view key, std::string& out) {
    require(key);
    read(key, out);
}

void ObjectReader::require(std::string_view key, std::uint32_t& out) {
    require(key);
    read(key, out);
}

void ObjectReader::finish() {
    if (fault_) {
        return;
    }
    for (const auto& element : *object_) {
        const std::string key(element.key());
        if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
            const auto nearest = nearest_name(key, known_);
            fail(key, nearest ? fmt::format("is not known; did you mean \"{}\"?", *nearest) : "is not known");
            return;
        }
    }
}

std::optional<std::string> nearest_name(std::string_view name, const std::vector<std::string>& known) {
    std::optional<std::string> best;
    std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
    for (const std::string& candidate : known) {
        std::vector<std::size_t> row(candidate.size() + 1);
        std::iota(row.begin(), row.end(), std::size_t{0});
        for (std::size_t i = 0; i < name.size(); ++i) {
            std::size_t diagonal = std::exchange(row[0], i + 1);
            for (std::size_t j = 0; j < candidate.size(); ++j) {
                const std::size_t replaced = diagonal + (name[i] == candidate[j] ? 0 : 1);
                diagonal = row[j + 1];
                row[j + 1] = std::min({replaced, row[j + 1] + 1, row[j] + 1});
            }
        }
        if (row.back() < best_distance) {
            best_distance = row.back();
            best = candidate;
        }
    }
    return best;
}

}  // namespace ralph::core
