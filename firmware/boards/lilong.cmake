# What the boards have in common; an mpconfigboard.cmake includes it at its end. Before that it may
# set LILONG_PARTITIONS, the file of another partition table.

if(NOT LILONG_PARTITIONS)
    set(LILONG_PARTITIONS ${CMAKE_CURRENT_LIST_DIR}/partitions-4MiB.csv)
endif()

# A relative name would be looked for in the port's folder, and an sdkconfig file knows no variables.
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.partitions
    "CONFIG_PARTITION_TABLE_CUSTOM=y\n"
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${LILONG_PARTITIONS}\"\n"
)

list(APPEND SDKCONFIG_DEFAULTS
    ${CMAKE_CURRENT_LIST_DIR}/sdkconfig.lilong
    ${MICROPY_BOARD_DIR}/sdkconfig.board
    ${CMAKE_BINARY_DIR}/sdkconfig.partitions
)

# FROZEN_MANIFEST on make's command line goes before it.
set(MICROPY_FROZEN_MANIFEST ${CMAKE_CURRENT_LIST_DIR}/../manifest.py)
