#!/bin/sh
# Run once by the image, in an empty data folder: a database for each service, and one for all that has none of its own.
set -eu

for database in stampede_db orders_db inventory_db payments_db users_db; do
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --command "CREATE DATABASE $database"
done
