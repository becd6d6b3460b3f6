#!lua
-- Drops what was read of a box.
--
-- KEYS  1 box, 2 what went through it
-- ARGV  1 and 2 bytes and parcels of the last parcel that was read, 3 parcels + 1
if redis.call('EXISTS', KEYS[1], KEYS[2]) == 2 then
  redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1] .. '-' .. ARGV[3])
  redis.call('HSET', KEYS[2], 'bytes_read', ARGV[1], 'parcels_read', ARGV[2])
end
return 1
