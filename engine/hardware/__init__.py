"""What the driver and the operating system say of this machine; nothing here imports torch."""
