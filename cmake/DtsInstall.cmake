# `cmake --install` gives headers under include/dts, the static library and a CMake package (see examples/cmake_project).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS dts_core EXPORT dist_training_simTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/src/" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dts
        FILES_MATCHING PATTERN "*.hpp" PATTERN "bindings" EXCLUDE)
install(FILES "${PROJECT_BINARY_DIR}/generated/version.hpp" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dts)
install(EXPORT dist_training_simTargets NAMESPACE dist_training_sim::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dist_training_sim)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/dist_training_simConfig.cmake.in"
        "${PROJECT_BINARY_DIR}/dist_training_simConfig.cmake"
        INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dist_training_sim)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/dist_training_simConfigVersion.cmake"
        COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/dist_training_simConfig.cmake"
        "${PROJECT_BINARY_DIR}/dist_training_simConfigVersion.cmake"
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dist_training_sim)
