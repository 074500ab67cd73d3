# Says how full the file system of the item's directory is. The exit status says how the item ended.
directory=$ELASTIC_JOB_SHARDING_PARAMETER
if [ ! -d "$directory" ]; then
    echo "no directory $directory" >&2
    exit 1
fi
df -P "$directory" | awk 'NR == 2 { print "item '"$ELASTIC_JOB_SHARDING_ITEM"': " $6 " is full to " $5 }'
