#pragma once

/// What falls to a program that is the first process of a container.
namespace tempest::runtime {

/// Does nothing unless this is process 1. There every process whose parent has ended becomes its
/// child and stays a zombie until it is waited for. So the program goes on in a child, as process 1
/// would be without Tempest: the parent only waits for whatever ends, passes signals on, and ends
/// with the code of the program. What the program starts itself stays the program's to wait for.
/// To be called first of all in main(), before there are threads.
void stand_behind_first_process();

}  // namespace tempest::runtime
