// A node on an ESP32 with 4 MiB of flash or more.

#define MICROPY_HW_BOARD_NAME               "Lilong node"
#define MICROPY_HW_MCU_NAME                 "ESP32"

// A node talks over a line or Bluetooth; with Wi-Fi two images would not fit beside its files.
#define MICROPY_PY_NETWORK_WLAN             (0)
#define MICROPY_PY_NETWORK_LAN              (0)
#define MICROPY_PY_ESPNOW                   (0)
