#!lua
-- Puts one entry of several parcels into a box.
--
-- The entry's id is what has gone through the box by then: bytes and parcels.
--
-- KEYS  1 box, 2 what went through it
-- ARGV  1 the entry, 2 parcels, 3 bytes, 4 and 5 how much of both may be in the box
local gone = redis.call('HMGET', KEYS[2], 'bytes', 'parcels', 'bytes_read', 'parcels_read')
if not gone[1] then
  return 'gone'
end
local bytes, parcels = tonumber(gone[1]) + tonumber(ARGV[3]), tonumber(gone[2]) + tonumber(ARGV[2])
if parcels - tonumber(gone[4]) > tonumber(ARGV[4]) or bytes - tonumber(gone[3]) > tonumber(ARGV[5]) then
  return 'full'
end
local bytes_text, parcels_text = string.format('%.0f', bytes), string.format('%.0f', parcels)
if not redis.call('XADD', KEYS[1], 'NOMKSTREAM', bytes_text .. '-' .. parcels_text, 'p', ARGV[1]) then
  return 'gone'
end
redis.call('HSET', KEYS[2], 'bytes', bytes_text, 'parcels', parcels_text)
return 'done'
