// Loaded into each of our processes before all else: none outlives the one that started it, however that one ends.
process.on('disconnect', () => process.exit(1))
process.channel?.unref()
