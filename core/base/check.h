// CHECK guards against our own mistakes. It is on in every build: a supervisor whose invariants are broken
// stops at once, is restarted, and recovers from what is durable.
#pragma once

namespace ralph::core {

// Writes "file:line: check failed: what" to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* what);

}  // namespace ralph::core

#define CHECK(condition)                                                 \
    do {                                                                 \
        if (!(condition)) {                                              \
            ::ralph::core::check_failed(__FILE__, __LINE__, #condition); \
        }                                                                \
    } while (false)
