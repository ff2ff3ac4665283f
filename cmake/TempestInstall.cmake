# cmake --install puts the programs, libtempest and its headers in place, and a package so that
# find_package(tempest) works.
