// What the fuzz targets share. Each target is one function, LLVMFuzzerTestOneInput, that takes any bytes as a
// document and checks (CHECK, which aborts) what must hold for every document. libFuzzer drives it in `make
// fuzz`; in the ordinary tests replay.cpp drives it over the corpus.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/jsonc.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace ralph::fuzz {

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

// Two documents in one input, parted by a line of three dashes. Without it the second one is missing.
inline std::pair<std::string, std::optional<std::string>> two_texts(const std::uint8_t* data,
                                                                    std::size_t size) {
    static constexpr std::string_view line = "\n---\n";
    const std::string text = text_of(data, size);
    const std::size_t at = text.find(line);
    if (at == std::string::npos) {
        return {text, std::nullopt};
    }
    return {text.substr(0, at), text.substr(at + line.size())};
}

// Bad input gets one clear line that names the file it is in.
inline void check_error(const core::Error& error, std::string_view file) {
    const std::string line = error.line();
    CHECK(line.find(file) != std::string::npos);
    CHECK(std::none_of(line.begin(), line.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
}

// The document, or nothing after a look at the error.
inline std::optional<core::JsonDocument> parse(std::string text, const char* file) {
    auto document = core::JsonDocument::parse(std::move(text), file);
    if (!document) {
        check_error(document.error(), file);
        return std::nullopt;
    }
    return std::move(*document);
}

// What `read` makes of a text; nothing after a look at the error.
template <class T>
std::optional<T> read(std::string text, const char* file,
                      core::Result<T> (*read_document)(const core::JsonDocument&)) {
    const auto document = parse(std::move(text), file);
    if (!document) {
        return std::nullopt;
    }
    auto value = read_document(*document);
    if (!value) {
        check_error(value.error(), file);
        return std::nullopt;
    }
    return std::move(*value);
}

// What was read, written and read again is equal, and is written the same. Returns what was read.
template <class T>
std::optional<T> round_trip(std::string text, const char* file,
                            core::Result<T> (*read_document)(const core::JsonDocument&),
                            std::string (*write)(const T&)) {
    auto value = read(std::move(text), file, read_document);
    if (value) {
        const std::string written = write(*value);
        const auto again = read(written, file, read_document);
        CHECK(again.has_value());
        CHECK(*again == *value);
        CHECK(write(*again) == written);
    }
    return value;
}

}  // namespace ralph::fuzz
