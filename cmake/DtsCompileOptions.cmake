# Warnings, sanitizers and the floating-point contract, as one interface target.
add_library(dts_compile_options INTERFACE)
target_compile_features(dts_compile_options INTERFACE cxx_std_17)
if(MSVC)
  target_compile_options(dts_compile_options INTERFACE /W4 /permissive- /fp:precise /utf-8 $<$<BOOL:${DTS_WERROR}>:/WX>)
else()
  # No contraction: a fused multiply-add would make results differ between platforms.
  target_compile_options(dts_compile_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -ffp-contract=off
                         $<$<BOOL:${DTS_WERROR}>:-Werror> $<$<CONFIG:Release>:-O3>)
  if(DTS_SANITIZE)
    target_compile_options(dts_compile_options INTERFACE -fsanitize=${DTS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(dts_compile_options INTERFACE -fsanitize=${DTS_SANITIZE})
  endif()
endif()
