// A node on an ESP32-S3 with 4 MiB of flash or more; with 8 MiB as variant FLASH_8M.

#define MICROPY_HW_BOARD_NAME               "Lilong node"
#define MICROPY_HW_MCU_NAME                 "ESP32S3"

// The console is at UART0 too, for modules whose USB is not wired.
#define MICROPY_HW_ENABLE_UART_REPL         (1)

// A node talks over a line or Bluetooth; with Wi-Fi two images would not fit beside its files.
#define MICROPY_PY_NETWORK_WLAN             (0)
#define MICROPY_PY_NETWORK_LAN              (0)
#define MICROPY_PY_ESPNOW                   (0)
