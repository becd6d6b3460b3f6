#!lua
-- Sets a field, unless it is there; answers with what is there then.
--
-- KEYS  1 the constants
-- ARGV  1 name, 2 value
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
