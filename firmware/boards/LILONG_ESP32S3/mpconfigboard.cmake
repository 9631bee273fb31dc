set(IDF_TARGET esp32s3)

set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    boards/sdkconfig.ble
)

# MicroPython 1.25 and 1.26 have one more file for native USB.
if(EXISTS ${CMAKE_SOURCE_DIR}/boards/sdkconfig.usb)
    list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.usb)
endif()

if(MICROPY_BOARD_VARIANT STREQUAL "FLASH_8M")
    set(LILONG_PARTITIONS ${MICROPY_BOARD_DIR}/../partitions-8MiB.csv)
endif()

include(${MICROPY_BOARD_DIR}/../lilong.cmake)
