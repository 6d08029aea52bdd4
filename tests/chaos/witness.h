// The two helper modes of ralph-chaos, which are programs of their own.
#pragma once

namespace ralph::chaos {

// `ralph-chaos --witness FOLDER -- COMMAND...`: what every task of a chaos run really executes. It holds a
// lock on FOLDER/<task>.lock from its begin to its end, which the command and all that it starts inherit:
// while any process of a run lives, the lock is held. It appends a line to FOLDER/ledger before it starts the
// command and one after it has ended. A run that begins while a process of another run of its task lives says
// so in the ledger. Ends as the command ended.
int witness(const char* folder, char** command);

// `ralph-chaos --stranger FILE`: a process that nobody may signal. Every signal that it gets becomes a line
// of FILE. It ends when its standard input does.
int stranger(const char* file);

}  // namespace ralph::chaos
