#!lua flags=no-writes
-- Reads one entry of a list as it is at one moment: whether its key is there, and its value.
--
-- KEYS  1 the keys in order, 2 the values
-- ARGV  1 the key
return {redis.call('ZSCORE', KEYS[1], ARGV[1]), redis.call('HGET', KEYS[2], ARGV[1])}
