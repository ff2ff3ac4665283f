#include "tempest/worker.hpp"

extern "C" const tempest::TaskLibrary* tempest_library_shout();

int main(int argc, char** argv) {
  return tempest::run_worker(argc, argv, {tempest_library_shout()});
}
